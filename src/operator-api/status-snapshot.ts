import type { QueueCounts } from '../broker/amqp/queue-counts.ts';
import type { AgentContext } from '../context.ts';
import { assessInstallation } from '../status/assess-installation.ts';
import type { InstallationStatus } from '../status/installation-status.ts';
import {
  type AmqpReading,
  answerOf,
  createReadStore,
  type InstallationReading,
  type PartAnswer,
  readManagement,
} from '../status/read-installation.ts';
import type { Health, HealthReport } from '../observe/health.ts';
import { recordedHealth } from '../observe/recorded-health.ts';
import type { AgentRecord } from '../store/agent-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { AgentError } from '../util/agent-errors.ts';
import { createSnapshot, type Snapshot, snapshotPauseMs } from './snapshot.ts';

/** The status of the installation as this agent reads it. */
export interface StatusSnapshot {
  readonly status: InstallationStatus;
  /** The records of all agents; undefined: the store does not answer. */
  readonly agents: readonly AgentRecord[] | undefined;
}

/** What the status is read with. */
export interface StatusParts extends Pick<AgentContext, 'config' | 'instance' | 'clock' | 'management'> {
  readonly store: Omit<StoreReader, 'close'>;
  /** That of this agent, which is current at any time. */
  readonly health: Pick<Health, 'report'>;
  /** What waits in the queues of the requests, by label; undefined: unknown. */
  readonly requestCounts: () => ReadonlyMap<string, QueueCounts> | undefined;
}

/** A part that does not answer takes long, and costs nothing meanwhile. What comes back is to be seen soon, in ms. */
const MAX_PAUSE_MS = 10_000;

/**
 * Reads the status over the connections of this agent while it is asked for. A part that does not answer hides no other.
 * What this agent knows of itself is of now, however old the reading is.
 */
export function createStatusSnapshot(parts: StatusParts): Pick<Snapshot<StatusSnapshot>, 'get' | 'releaseUnused'> {
  const { config, instance, clock, management, store, health } = parts;
  const readStore = createReadStore(clock);
  const read = async (): Promise<InstallationReading> => {
    const { signal } = new AbortController();
    const [ofStore, broker] = await Promise.all([
      answerOf(readStore(store, signal), 'StoreUnavailable'),
      readManagement(management, config, signal),
    ]);
    return { atMs: clock.nowMs(), store: ofStore, broker, amqp: amqpOf(parts.requestCounts()) };
  };
  const readings = createSnapshot(read, {
    pauseMs: (tookMs) => Math.min(snapshotPauseMs(tookMs), MAX_PAUSE_MS),
    clock,
  });
  return {
    releaseUnused: () => readings.releaseUnused(),
    async get() {
      const latest = await readings.get();
      const reading = withOwnHealth(latest, health.report(), { instance, seenMs: clock.nowMs() });
      const agents = 'value' in reading.store ? reading.store.value.agents : undefined;
      const isProduction = process.env['NODE_ENV'] === 'production';
      return { status: assessInstallation(config.id, reading, { isProduction }), agents };
    },
  };
}

/** The reading with what this agent says of itself now, and without the answers of what it does not reach. */
export function withOwnHealth(
  reading: InstallationReading,
  report: HealthReport,
  { instance, seenMs }: Pick<AgentRecord, 'instance' | 'seenMs'>,
): InstallationReading {
  const { store, broker } = reading;
  const { parts } = report;
  const current = (record: AgentRecord): AgentRecord =>
    record.instance === instance ? { ...record, seenMs, ...recordedHealth(report) } : record;
  const known: InstallationReading['store'] =
    'value' in store ? { value: { ...store.value, agents: store.value.agents.map(current) } } : store;
  return {
    ...reading,
    store: parts.store?.state === 'down' ? unreachable('StoreUnavailable', known, parts.store) : known,
    broker: parts.management?.state === 'down' ? unreachable('BrokerUnavailable', broker, parts.management) : broker,
  };
}

function unreachable<T>(
  code: 'StoreUnavailable' | 'BrokerUnavailable',
  answer: PartAnswer<T>,
  { reason = 'It does not answer.' }: { readonly reason?: string | undefined },
): PartAnswer<T> {
  return 'error' in answer ? answer : { error: new AgentError(code, reason) };
}

function amqpOf(counts: ReadonlyMap<string, QueueCounts> | undefined): PartAnswer<AmqpReading> {
  if (counts !== undefined) return { value: { requests: counts.get('requests'), dead: counts.get('dead') } };
  const message = 'This agent has not read its queues for 30 s: see its parts.';
  return { error: new AgentError('BrokerUnavailable', message) };
}
