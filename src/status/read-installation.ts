import { createOnDemandConnection } from '../broker/amqp/on-demand-connection.ts';
import { countQueue, type QueueCounts } from '../broker/amqp/queue-counts.ts';
import { connectionFaultAt } from '../broker/amqp/agent-connection-fault.ts';
import type { ClusterNode, Management, NodeAlarm, Overview } from '../broker/management/management.ts';
import { openManagement } from '../broker/management/open-management.ts';
import type { QuorumQueue } from '../broker/management/queue-members.ts';
import type { Config } from '../config/config.ts';
import { contractNames } from '../contract/names.ts';
import { countNeededSecrets, readSightings } from '../namespaces/accounts/needed-secrets.ts';
import { shownHosts } from '../observe/start-summary.ts';
import type { AgentRecord } from '../store/agent-records.ts';
import type { NamespaceState } from '../store/namespace-record.ts';
import type { MongoInspection } from '../store/mongodb/inspect-mongodb.ts';
import type { MongoSetup } from '../store/mongodb/mongodb-setup.ts';
import { openStoreToRead } from '../store/open-store-to-read.ts';
import { queueAlertPages } from '../store/paged-listing.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { SecretSighting } from '../store/secret-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { AgentError, asError } from '../util/agent-errors.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { startDeadline } from '../util/deadline.ts';

/** What one part of the installation answered, or why it did not. */
export type PartAnswer<T> = { readonly value: T } | { readonly error: AgentError };

/** How many namespaces need which agent secret. */
export interface NeededSecrets {
  /** When they were counted. */
  readonly atMs: number;
  /** How many namespaces need each secret, by its id. */
  readonly namespaces: ReadonlyMap<string, number>;
}

/** What the store holds about an installation. */
export interface StoreReading {
  readonly kind: StoreReader['kind'];
  /** How MongoDB is set up; undefined for LMDB. */
  readonly setup: MongoSetup | undefined;
  /** Undefined if no agent has used it yet. */
  readonly storeId: string | undefined;
  readonly agents: readonly AgentRecord[];
  readonly namespaces: Readonly<Record<NamespaceState, number>>;
  readonly secrets: NeededSecrets;
  /** When agents saw the needed secrets last, or began to miss them, by secretId. */
  readonly sightings: ReadonlyMap<string, Pick<SecretSighting, 'heldMs' | 'missingMs'>>;
  readonly noticesWaiting: number;
  /** The alerts, ten thousand at most. */
  readonly alerts: readonly QueueAlert[];
}

/** What RabbitMQ's management API says. */
export interface BrokerReading {
  readonly overview: Overview;
  readonly nodes: readonly ClusterNode[];
  readonly alarms: readonly NodeAlarm[];
  /** Undefined when there is no quorum queue of that name. */
  readonly requestQueue: QuorumQueue | undefined;
  /** The queue of the dead letters, likewise. */
  readonly deadQueue: QuorumQueue | undefined;
}

/** What RabbitMQ says over AMQP; a queue that is missing is undefined. */
export interface AmqpReading {
  readonly requests: QueueCounts | undefined;
  readonly dead: QueueCounts | undefined;
}

/** One reading of an installation. Each part is read by itself, so that one that is away hides no other. */
export interface InstallationReading {
  readonly atMs: number;
  readonly store: PartAnswer<StoreReading>;
  readonly broker: PartAnswer<BrokerReading>;
  readonly amqp: PartAnswer<AmqpReading>;
}

/** Reads an installation from outside of its agents, again and again. It writes nothing. */
export interface InstallationReader {
  /** @throws the reason of the signal, and nothing else */
  read(signal: AbortSignal): Promise<InstallationReading>;
  close(): Promise<void>;
}

/** The time limit of all answers of RabbitMQ together, in ms: a host that is off answers nothing. */
const LIMIT_MS = 8_000;

/** To count the secrets, all records are read. So they are counted at most so often, in ms, and rarely where it takes long. */
const COUNT_EVERY_MS = 15_000;
const COUNT_SHARE = 20;

/** Beyond this, the exact number of alerts does not matter. */
const MAX_ALERTS = 10_000;

/** Something that is read again and again. */
interface Source<T> {
  read(signal: AbortSignal): Promise<T>;
  close(): Promise<void>;
}

/** Creates the reader with the configuration of an agent. Nothing is opened before it reads. */
export function createInstallationReader(config: Config, clock: Clock = systemClock): InstallationReader {
  const store = createStoreSource(config, clock);
  const management = openManagement(config);
  const amqp = createAmqpSource(config);
  return {
    async read(signal) {
      signal.throwIfAborted();
      const [ofStore, ofBroker, ofAmqp] = await Promise.all([
        answerOf(store.read(signal), 'StoreUnavailable'),
        readManagement(management, config, signal),
        answerOf(amqp.read(signal), 'BrokerUnavailable'),
      ]);
      signal.throwIfAborted();
      return { atMs: clock.nowMs(), store: ofStore, broker: ofBroker, amqp: ofAmqp };
    },
    async close() {
      management.close();
      await amqp.close();
      await store.close();
    },
  };
}

/** What is read of a store. */
type ReadableStore = Pick<
  StoreReader,
  'kind' | 'storeId' | 'agents' | 'notices' | 'queueAlerts' | 'secretSightings'
> & {
  readonly namespaces: Pick<StoreReader['namespaces'], 'list' | 'countByState'>;
} & Partial<Pick<MongoInspection, 'setup'>>;

/**
 * Reads a store, again and again.
 *
 * @throws AgentError `StoreUnavailable`; the signal's reason
 */
export type ReadStore = (store: ReadableStore, signal: AbortSignal) => Promise<StoreReading>;

/** Creates what reads a store. */
export function createReadStore(clock: Clock): ReadStore {
  let counted: (NeededSecrets & { readonly untilMs: number }) | undefined;

  const countSecrets = async ({ namespaces }: ReadableStore, signal: AbortSignal): Promise<NeededSecrets> => {
    const startedMs = clock.monotonicMs();
    if (counted !== undefined && startedMs < counted.untilMs) return counted;
    const atMs = clock.nowMs();
    const needed = await countNeededSecrets(namespaces, signal);
    const tookMs = clock.monotonicMs() - startedMs;
    counted = { atMs, namespaces: needed, untilMs: startedMs + Math.max(COUNT_EVERY_MS, COUNT_SHARE * tookMs) };
    return counted;
  };

  return async (store, signal) => {
    const { kind, storeId } = store;
    const [setup, agents, namespaces, noticesWaiting, alerts] = await Promise.all([
      store.setup?.(),
      store.agents.list(),
      store.namespaces.countByState(),
      store.notices.countWaiting(),
      listAlerts(store, signal),
    ]);
    const secrets = await countSecrets(store, signal);
    const sightings = await readSightings(store.secretSightings, secrets.namespaces.keys());
    return { kind, setup, storeId, agents, namespaces, secrets, sightings, noticesWaiting, alerts };
  };
}

/** The store, opened by the first reading, and again after one that failed. */
function createStoreSource({ storeUrl }: Pick<Config, 'storeUrl'>, clock: Clock): Source<StoreReading> {
  const readStore = createReadStore(clock);
  let store: StoreReader | MongoInspection | undefined;
  return {
    async read(signal) {
      store ??= await openStoreToRead(storeUrl.reveal());
      const opened = store;
      try {
        return await readStore(opened, signal);
      } catch (error) {
        // A driver whose connections hang never sees the server again.
        store = undefined;
        await opened.close();
        throw error;
      }
    },
    close: async () => await store?.close(),
  };
}

/** Reads RabbitMQ's management API, within a limit of time. It throws the reason of the signal, and nothing else. */
export async function readManagement(
  management: Management,
  config: Pick<Config, 'id' | 'requestVhost'>,
  signal: AbortSignal,
): Promise<PartAnswer<BrokerReading>> {
  const read = withinLimit("RabbitMQ's management API", signal, (limited) => readBroker(management, config, limited));
  return await answerOf(read, 'BrokerUnavailable');
}

async function readBroker(
  management: Management,
  { id, requestVhost }: Pick<Config, 'id' | 'requestVhost'>,
  signal: AbortSignal,
): Promise<BrokerReading> {
  const names = contractNames(id);
  const [overview, nodes, alarms, requestQueue, deadQueue] = await Promise.all([
    management.overview({ signal }),
    management.listNodes({ signal }),
    management.listAlarms({ signal }),
    management.getQuorumQueue(requestVhost, names.requestQueue, { signal }),
    management.getQuorumQueue(requestVhost, names.deadQueue, { signal }),
  ]);
  return { overview, nodes, alarms, requestQueue, deadQueue };
}

/** Passive declarations, which are current. Their connection never publishes, so no alarm blocks it. */
function createAmqpSource({
  id,
  rabbitmqRequestUrl: amqpUrl,
  rabbitmqCa: ca,
}: Pick<Config, 'id' | 'rabbitmqRequestUrl' | 'rabbitmqCa'>): Source<AmqpReading> {
  const { requestQueue, deadQueue } = contractNames(id);
  const origin = shownHosts(amqpUrl.reveal());
  const connection = createOnDemandConnection({ amqpUrl, connectionName: `${id} status`, ca });
  const readQueues = async (): Promise<AmqpReading> => {
    try {
      return await connection.use(async (opened) => ({
        requests: await countQueue(opened, requestQueue),
        dead: await countQueue(opened, deadQueue),
      }));
    } catch (error) {
      throw connectionFaultAt(origin, error);
    }
  };
  return {
    // One without answers must not be used again.
    read: (signal) => withinLimit(`RabbitMQ at ${origin}`, signal, readQueues, () => connection.close()),
    close: () => connection.close(),
  };
}

/** @param onLate called when the limit has passed, to give up what hangs */
async function withinLimit<T>(
  what: string,
  signal: AbortSignal,
  read: (limited: AbortSignal) => Promise<T>,
  onLate: () => Promise<void> = async () => undefined,
): Promise<T> {
  const deadline = startDeadline(LIMIT_MS, signal);
  try {
    return await deadline.race(read(deadline.signal));
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.passed) throw error;
    await onLate();
    const late = `${what} does not answer within ${LIMIT_MS / 1000} s. Check that it runs and can be reached.`;
    throw new AgentError('BrokerUnavailable', late, { cause: error });
  } finally {
    deadline.clear();
  }
}

async function listAlerts(
  { queueAlerts }: Pick<StoreReader, 'queueAlerts'>,
  signal: AbortSignal,
): Promise<QueueAlert[]> {
  const alerts: QueueAlert[] = [];
  for await (const page of queueAlertPages(queueAlerts, signal)) {
    alerts.push(...page);
    if (alerts.length >= MAX_ALERTS) break;
  }
  return alerts;
}

/** An error that is not the project's own may hold a secret: it becomes the cause of one that says what did not answer. */
export async function answerOf<T>(
  work: Promise<T>,
  code: 'StoreUnavailable' | 'BrokerUnavailable',
): Promise<PartAnswer<T>> {
  try {
    return { value: await work };
  } catch (error) {
    if (error instanceof AgentError) return { error };
    return { error: new AgentError(code, `It failed unexpectedly (${asError(error).name}).`, { cause: error }) };
  }
}
