import { EventEmitter, once, setMaxListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type Behaviour, type BehaviourInput, behaviourSchema, SERVICES, type ServiceName } from './behaviour.ts';
import {
  type DevClient,
  type Directory,
  type DirectoryInput,
  parseClient,
  parseDirectory,
  readDirectory,
} from './clients-file.ts';
import { ChatRooms, type MatrixPost, type SlackPost } from './chat.ts';
import { type Email, Mailbox } from './email.ts';
import { createExpandScopes } from './roles.ts';
import { type CallCounts, type CountedMethod, createRoutes, type RouteState } from './routes.ts';

/** Its clients, roles and mail rules come from a file or from `directory`; without either there are none. */
export interface TaskclusterOptions {
  /** A free one when absent. */
  readonly port?: number;
  /** A YAML file such as config/dev-taskcluster.yml. */
  readonly clientsFile?: string;
  readonly directory?: DirectoryInput;
  /** Closes the stand-in when it aborts. */
  readonly signal?: AbortSignal;
}

/** A running stand-in for Taskcluster's auth and notify services. */
export interface LocalTaskcluster {
  /** For TASKCLUSTER_ROOT_URL; without a trailing slash. */
  readonly rootUrl: string;
  readonly port: number;
  /** The sent mails, oldest first. */
  readonly mails: readonly Email[];
  /** What was posted to Matrix rooms and to Slack channels, oldest first. */
  readonly matrixPosts: readonly MatrixPost[];
  readonly slackPosts: readonly SlackPost[];
  readonly calls: Readonly<CallCounts>;
  /** Resolves at the next call of this method, before the answer. */
  nextCall(method: CountedMethod): Promise<void>;
  /** The credentials of this client. @throws Error when it does not exist */
  credentials(clientId: string): { clientId: string; accessToken: string };
  /** Adds or replaces a client, from the next call on. */
  setClient(client: Parameters<typeof parseClient>[0]): void;
  /** Removes a client, from the next call on. */
  removeClient(clientId: string): void;
  /** Changes the behaviour of one service, or of both, from the next call on. */
  behave(behaviour: BehaviourInput, service?: ServiceName): void;
  /** Refuses new connections and cuts open ones, like a service that is down. */
  refuseConnections(): Promise<void>;
  /** Accepts connections again, on the same port. */
  acceptConnections(): Promise<void>;
  /** Stops it; unanswered requests are cut. */
  close(): Promise<void>;
}

/**
 * Starts a stand-in for Taskcluster on 127.0.0.1, for development and tests: an HTTP server that answers like the auth and
 * notify services, errors included.
 *
 * @throws Error when the list of clients has faults or the port is taken
 *
 * @example
 * const taskcluster = await startTaskcluster({ clientsFile: 'config/dev-taskcluster.yml' });
 * const auth = new Auth({ rootUrl: taskcluster.rootUrl });
 */
export async function startTaskcluster(options: TaskclusterOptions = {}): Promise<LocalTaskcluster> {
  options.signal?.throwIfAborted();
  const directory = await directoryOf(options);
  const clients = new Map(directory.clients.map((client) => [client.clientId, client]));
  const behaviours: Record<ServiceName, Behaviour> = { auth: { mode: 'normal' }, notify: { mode: 'normal' } };
  const behave = (input: BehaviourInput, service?: ServiceName): void => {
    const behaviour = behaviourSchema.parse(input);
    for (const name of service === undefined ? SERVICES : [service]) behaviours[name] = behaviour;
  };
  const stopping = new AbortController();
  // Any number of slow answers wait with it.
  setMaxListeners(0, stopping.signal);
  const called = new EventEmitter();
  const state: RouteState = {
    hawk: { client: (clientId) => clients.get(clientId), expandScopes: createExpandScopes(directory.roles) },
    mailbox: new Mailbox(directory.mail),
    chatRooms: new ChatRooms(directory.chat),
    behaviours,
    behave,
    calls: { authenticateHawk: 0, authenticateHawkMostAtOnce: 0, email: 0, matrix: 0, slack: 0, ping: 0 },
    onCall: (method) => void called.emit(method),
    signal: stopping.signal,
  };
  const server = createServer(createRoutes(state));
  await listen(server, options.port ?? 0);
  const port = portOf(server);

  const refuseConnections = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  const close = async (): Promise<void> => {
    options.signal?.removeEventListener('abort', onAbort);
    stopping.abort();
    await refuseConnections();
  };
  const onAbort = (): void => void close();
  options.signal?.addEventListener('abort', onAbort, { once: true });

  return {
    rootUrl: `http://127.0.0.1:${port}`,
    port,
    mails: state.mailbox.sent,
    matrixPosts: state.chatRooms.matrix,
    slackPosts: state.chatRooms.slack,
    calls: state.calls,
    nextCall: async (method) => void (await once(called, method)),
    credentials: (clientId) => credentialsOf(clients, clientId),
    setClient: (client) => void clients.set(client.clientId, parseClient(client)),
    removeClient: (clientId) => void clients.delete(clientId),
    behave,
    refuseConnections,
    acceptConnections: () => (server.listening ? Promise.resolve() : listen(server, port)),
    close,
  };
}

async function directoryOf(options: TaskclusterOptions): Promise<Directory> {
  if (options.clientsFile !== undefined) return readDirectory(options.clientsFile);
  return parseDirectory(options.directory ?? {});
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The stand-in does not listen on a port.');
  return address.port;
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}

function credentialsOf(
  clients: ReadonlyMap<string, DevClient>,
  clientId: string,
): { clientId: string; accessToken: string } {
  const client = clients.get(clientId);
  if (client === undefined)
    throw new Error(`No client ${clientId} here. Use one of: ${[...clients.keys()].join(', ')}.`);
  return { clientId, accessToken: client.accessToken };
}
