import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/agent.ts';
import { brokerEventQueues } from '../../src/broker/amqp/broker-events.ts';
import { markerNames } from '../../src/broker/marker.ts';
import { brokerEventsPolicies } from '../../src/broker/policies.ts';
import { PulseAgentClient } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/client-options.ts';
import { requestUrl } from '../../src/client/request-url.ts';
import { openRpc, type Rpc } from '../../src/client/rpc.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { type ContractNames, contractNames } from '../../src/contract/names.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { type LocalTaskcluster, startTaskcluster } from '../../dev/taskcluster/server.ts';
import { createLog, type Log } from '../../src/util/log.ts';
import type { Store } from '../../src/store/store.ts';
import type { FileSettings } from '../../src/config/settings.ts';
import { createVhost, manage, openConnection, sharedBroker, type TestVhost } from './broker.ts';
import { addCleanup } from './cleanup.ts';
import { createTestLog, type TestLog } from './test-log.ts';
import { openDeadLetters, type DeadLetters } from './dead-letters.ts';
import { makeFolder, unique } from './folders.ts';
import { openRequester, type Requester } from './requester.ts';

/** How a test's installation differs from the default. */
export interface InstallationOptions {
  /** The shared one when absent. */
  readonly broker?: LocalRabbitMQ;
  readonly settings?: Partial<FileSettings>;
  /** Variables that are added, or, with an empty value, removed. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Ports of relays through which the agent, and no client, reaches its broker. */
  readonly relays?: { readonly amqpPort: number; readonly managementPort: number };
}

/** Everything that an agent needs, under unique names, and clients for it. */
export interface TestInstallation {
  readonly broker: LocalRabbitMQ;
  readonly vhost: TestVhost;
  readonly taskcluster: LocalTaskcluster;
  /** The environment with which another process joins this installation. */
  readonly environment: Readonly<Record<string, string>>;
  readonly config: Config;
  readonly names: ContractNames;
  readonly claimantUrl: string;
  readonly claimantPassword: string;
  /** The log lines of all agents of this installation, at level trace. */
  readonly log: string[];
  /** See {@link TestLog}. */
  readonly logged: TestLog['logged'];
  readonly found: TestLog['found'];
  /** Starts an agent; it is stopped with the installation. */
  start(options?: StartOptions): Promise<Agent>;
  /**
   * An RPC client with the Taskcluster credentials of `clientId`. It connects as the claimant, or with the credentials of
   * `url`, such as a connection string, and always to the vhost of the requests.
   */
  rpc(clientId?: string, url?: string): Promise<Rpc>;
  /** A client of the client library, otherwise like {@link rpc}. It is closed after the test. */
  client(clientId?: string, options?: Partial<ClientOptions>): PulseAgentClient;
  /** A raw client on its own connection, which it opens like {@link rpc}. */
  requester(url?: string): Promise<Requester>;
  /** Consumes the dead-letter queue. */
  deadLetters(): Promise<DeadLetters>;
  /** Stops and removes everything. */
  remove(): Promise<void>;
}

/** How to start an agent of an installation. */
export interface StartOptions extends Omit<AgentOptions, 'log'>, Partial<Pick<AgentOptions, 'log'>> {
  /** Variables that it has instead of those of the installation. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The node that it connects to, of the cluster that {@link InstallationOptions.broker} belongs to. */
  readonly through?: LocalRabbitMQ;
  /** A store that agents of this process share. */
  readonly store?: Store;
}

/** Taskcluster clients: the owner of `taskcluster-team*`, that of `taskcluster-other*`, one without scopes, an operator. */
export const TEAM = 'team/service';
export const OTHER = 'other/service';
export const NEWCOMER = 'newcomer';
export const REVOKER = 'operator/revoker';

const CLIENTS = [
  { clientId: TEAM, scopes: ['pulse:namespace:taskcluster-team*', 'auth:create-client:team/*'] },
  { clientId: OTHER, scopes: ['pulse:namespace:taskcluster-other*'] },
  { clientId: NEWCOMER, scopes: [] },
  { clientId: REVOKER, scopes: ['pulse:revoke:taskcluster-*'] },
];

/** A namespace of {@link TEAM} that no other test uses. */
export function teamNamespace(): string {
  return unique('taskcluster-team');
}

/** Makes an installation without an agent. It is removed after the test, or after the file. */
export async function makeInstallation(options: InstallationOptions = {}): Promise<TestInstallation> {
  const broker = options.broker ?? (await sharedBroker());
  const vhost = await createVhost(broker);
  const folder = makeFolder('agent');
  const taskcluster = await startTaskcluster({
    directory: {
      clients: CLIENTS.map((client) => ({ ...client, accessToken: `test-${randomBytes(20).toString('hex')}` })),
    },
  });
  const settings: Partial<FileSettings> = {
    id: unique('agent'),
    requestVhost: vhost.requestVhost,
    audience: 'agent.test',
    usernamePrefix: unique('user'),
    logLevel: 'trace',
    // Only the tests of this limit wait between login and opening for longer.
    handshakeTimeoutSeconds: 1,
    // Only the tests of these limits have them: others use one client for everything.
    maxNamespacesPerClient: null,
    requestsPerMinutePerClient: null,
    ...options.settings,
  };
  const file = join(folder, 'settings.yml');
  writeFileSync(file, JSON.stringify(settings));
  const claimantPassword = randomBytes(18).toString('base64url');
  const environment = {
    PULSE_AGENT_CONFIG: file,
    RABBITMQ_URL: withPort(vhost.amqpUrl, options.relays?.amqpPort),
    RABBITMQ_MANAGEMENT_URL: withPort(vhost.managementUrl, options.relays?.managementPort),
    TASKCLUSTER_ROOT_URL: taskcluster.rootUrl,
    STORE_URL: `lmdb:${join(folder, 'store')}`,
    PULSE_AGENT_SECRET: randomBytes(33).toString('base64'),
    PULSE_AGENT_CLAIMANT_PASSWORD: claimantPassword,
    ...options.environment,
  };
  const config = loadConfig(environment);
  const names = contractNames(config.id);
  const claimant = new URL(vhost.requestUrl);
  claimant.username = names.claimantUser;
  claimant.password = claimantPassword;

  const { lines, write, logged, found } = createTestLog();
  const log: Log = createLog(config, { write });
  const agents: Agent[] = [];
  let removed = false;
  const remove = async (): Promise<void> => {
    if (removed) return;
    removed = true;
    for (const agent of agents.splice(0)) await agent.stop();
    await taskcluster.close();
    if (broker.running()) await removeTraces(broker, config);
    rmSync(folder, { recursive: true, force: true });
  };
  addCleanup(remove);
  const connectForRequests = (url: string) => openConnection(requestUrl(url, config.requestVhost));
  return {
    broker,
    vhost,
    taskcluster,
    environment,
    config,
    names,
    claimantUrl: claimant.href,
    claimantPassword,
    log: lines,
    logged,
    found,
    async start({ through, store, environment: given = {}, ...agentOptions } = {}) {
      const own = {
        ...(through === undefined ? {} : urlsOf(vhost, through)),
        ...(store === undefined ? {} : { STORE_URL: `lmdb:${join(folder, `store-${agents.length}`)}` }),
        ...given,
      };
      const its = Object.keys(own).length === 0 ? config : loadConfig({ ...environment, ...own });
      const shared = store === undefined ? {} : { wrapStore: () => store };
      const started = await startAgent(its, { log, ...shared, ...agentOptions });
      let stopped: Promise<void> | undefined;
      // A test may stop it too.
      const agent: Agent = { ...started, stop: () => (stopped ??= started.stop()) };
      agents.push(agent);
      return agent;
    },
    async rpc(clientId, url = claimant.href) {
      const credentials = clientId === undefined ? {} : { credentials: taskcluster.credentials(clientId) };
      return await openRpc(await connectForRequests(url), { id: config.id, audience: config.audience, ...credentials });
    },
    client(clientId = TEAM, own = {}) {
      const client = new PulseAgentClient({
        ...(own.connection === undefined ? { url: claimant.href } : {}),
        id: config.id,
        audience: config.audience,
        credentials: taskcluster.credentials(clientId),
        ...own,
      });
      addCleanup(() => client.close());
      return client;
    },
    requester: async (url = claimant.href) => await openRequester(await connectForRequests(url), config),
    deadLetters: async () => await openDeadLetters(await openConnection(vhost.requestUrl), names.deadQueue),
    remove,
  };
}

/** The variables with which an agent connects to this node. */
export function urlsOf(vhost: TestVhost, node: LocalRabbitMQ): Record<string, string> {
  return {
    RABBITMQ_URL: withPort(vhost.amqpUrl, node.amqpPort),
    RABBITMQ_MANAGEMENT_URL: withPort(vhost.managementUrl, node.managementPort),
  };
}

/** The same URL with another port. */
export function withPort(href: string, port: number | undefined): string {
  if (port === undefined) return href;
  const url = new URL(href);
  url.port = String(port);
  return url.href;
}

/** For use in a `describe`: an installation with one agent for all its tests. */
export function useInstallation(
  options: InstallationOptions & { agent?: Omit<AgentOptions, 'log'> } = {},
): () => TestInstallation & { readonly agent: Agent } {
  let installation: (TestInstallation & { agent: Agent }) | undefined;
  before('start an installation', async function () {
    this.timeout(300_000);
    const made = await makeInstallation(options);
    installation = { ...made, agent: await made.start(options.agent) };
  });
  after('remove the installation', async () => {
    await installation?.remove();
  });
  return () => {
    if (installation === undefined) throw new Error('The installation is ready only from the first hook on.');
    return installation;
  };
}

/** Removes what an agent leaves outside its vhost. */
async function removeTraces(broker: LocalRabbitMQ, config: Config): Promise<void> {
  const { body } = await manage(broker, 'GET', '/users');
  for (const { name } of body as { name: string }[]) {
    if (name !== contractNames(config.id).claimantUser && !name.startsWith(`${config.usernamePrefix}taskcluster-`)) {
      continue;
    }
    await manage(broker, 'DELETE', `/users/${encodeURIComponent(name)}`, undefined, [404]);
  }
  const eventVhost = encodeURIComponent(config.eventVhost);
  for (const { queue } of brokerEventQueues(config.id)) {
    await manage(broker, 'DELETE', `/queues/${eventVhost}/${encodeURIComponent(queue)}`, undefined, [404]);
  }
  for (const { name } of brokerEventsPolicies(config.id)) {
    await manage(broker, 'DELETE', `/policies/${eventVhost}/${encodeURIComponent(name)}`, undefined, [404]);
  }
  for (const name of markerNames(config)) {
    await manage(broker, 'DELETE', `/global-parameters/${encodeURIComponent(name)}`, undefined, [404]);
  }
}

/** The environment of a command, or of another program of a client, that signs as `clientId`. */
export function clientEnvironment(
  { claimantUrl, config, taskcluster }: Pick<TestInstallation, 'claimantUrl' | 'config' | 'taskcluster'>,
  clientId: string = TEAM,
): Record<string, string> {
  return {
    PULSE_AGENT_URL: claimantUrl,
    PULSE_AGENT_ID: config.id,
    PULSE_AGENT_AUDIENCE: config.audience,
    TASKCLUSTER_CLIENT_ID: clientId,
    TASKCLUSTER_ACCESS_TOKEN: taskcluster.credentials(clientId).accessToken,
  };
}
