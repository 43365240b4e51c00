import { EventEmitter, once } from 'node:events';
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
import { type Email, Mailbox } from './email.ts';
import { createExpandScopes } from './roles.ts';
import { type CallCounts, type CountedMethod, createRoutes, type RouteState } from './routes.ts';

/** Who the stand-in knows comes from a file, or from `directory`, or is nobody. */
export interface TaskclusterOptions {
  /** A free one unless told. */
  readonly port?: number;
  /** A YAML file such as config/dev-taskcluster.yml. */
  readonly clientsFile?: string;
  readonly directory?: DirectoryInput;
  /** Closes the stand-in. */
  readonly signal?: AbortSignal;
}

/** A running stand-in for Taskcluster's auth and notify services. */
export interface LocalTaskcluster {
  /** What TASKCLUSTER_ROOT_URL should say, without a slash at the end. */
  readonly rootUrl: string;
  readonly port: number;
  /** Mails that were sent, oldest first. */
  readonly mails: readonly Email[];
  readonly calls: Readonly<CallCounts>;
  /** Resolves when this method is called the next time, before it is answered. */
  nextCall(method: CountedMethod): Promise<void>;
  /** What this client signs with. @throws Error when there is no such client. */
  credentials(clientId: string): { clientId: string; accessToken: string };
  /** Adds the client, or replaces the one with its clientId, from the next call on. */
  setClient(client: Parameters<typeof parseClient>[0]): void;
  /** From the next call on there is no such client. */
  removeClient(clientId: string): void;
  /** Changes how one service, or both, behave from the next call on. */
  behave(behaviour: BehaviourInput, service?: ServiceName): void;
  /** Refuses new connections and cuts those that are open, as a service that is gone. */
  refuseConnections(): Promise<void>;
  /** Takes connections again, on the same port. */
  acceptConnections(): Promise<void>;
  /** Ends it, with whatever it has not answered. */
  close(): Promise<void>;
}

/**
 * Starts a stand-in for Taskcluster on 127.0.0.1: a real HTTP server whose answers, refusals included, are those of the
 * auth and notify services. It is for development and tests.
 *
 * @throws Error when the list of clients has faults or the port is taken.
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
  const called = new EventEmitter();
  const state: RouteState = {
    hawk: { client: (clientId) => clients.get(clientId), expandScopes: createExpandScopes(directory.roles) },
    mailbox: new Mailbox(directory.mail),
    behaviours,
    behave,
    calls: { authenticateHawk: 0, authenticateHawkMostAtOnce: 0, email: 0, ping: 0 },
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
