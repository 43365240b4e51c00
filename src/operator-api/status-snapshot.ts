import type { QueueCounts } from '../broker/amqp/queue-counts.ts';
import type { AgentContext } from '../context.ts';
import { assessInstallation } from '../status/assess-installation.ts';
import type { InstallationStatus } from '../status/installation-status.ts';
import {
  type AmqpReading,
  answerOf,
  createReadStore,
  type PartAnswer,
  readManagement,
} from '../status/read-installation.ts';
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
export interface StatusParts extends Pick<AgentContext, 'config' | 'clock' | 'management'> {
  readonly store: Omit<StoreReader, 'close'>;
  /** What waits in the queues of the requests, by label; undefined: unknown. */
  readonly requestCounts: () => ReadonlyMap<string, QueueCounts> | undefined;
}

const MAX_AGE_MS = 120_000;

/** Reads the status over the connections of this agent while it is asked for. A part that does not answer hides no other. */
export function createStatusSnapshot(parts: StatusParts): Snapshot<StatusSnapshot> {
  const { config, clock, management, store } = parts;
  const readStore = createReadStore(clock);
  const read = async (): Promise<StatusSnapshot> => {
    const { signal } = new AbortController();
    const [ofStore, broker] = await Promise.all([
      answerOf(readStore(store, signal), 'StoreUnavailable'),
      readManagement(management, config, signal),
    ]);
    const reading = { atMs: clock.nowMs(), store: ofStore, broker, amqp: amqpOf(parts.requestCounts()) };
    const agents = 'value' in ofStore ? ofStore.value.agents : undefined;
    const isProduction = process.env['NODE_ENV'] === 'production';
    return { status: assessInstallation(config.id, reading, { isProduction }), agents };
  };
  return createSnapshot(read, { pauseMs: snapshotPauseMs, maxAgeMs: MAX_AGE_MS, clock });
}

function amqpOf(counts: ReadonlyMap<string, QueueCounts> | undefined): PartAnswer<AmqpReading> {
  if (counts !== undefined) return { value: { requests: counts.get('requests'), dead: counts.get('dead') } };
  const message = 'This agent has not read its queues for 30 s: see its parts.';
  return { error: new AgentError('BrokerUnavailable', message) };
}
