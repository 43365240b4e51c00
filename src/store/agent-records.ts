import type { VersionedCollection } from './versioned-collection.ts';

/** A part of an agent as the agent saw it when it wrote its record. */
export interface RecordedPart {
  /** `starting`: it has not been up since the agent started. */
  readonly state: 'starting' | 'up' | 'down';
  /** When it came into this state, in ISO 8601. */
  readonly since: string;
  /** Whether the agent serves no requests without it. */
  readonly required: boolean;
  /** Why it is not up, for operators; it holds no secret. */
  readonly reason?: string;
}

/** The latest runs of a recurring job, by any agent, as far as this agent knows. */
export interface RecordedJob {
  /** The longest pause between two runs of which none fails, in ms. */
  readonly everyMs: number;
  /** When a run last succeeded, in ISO 8601; absent: unknown. */
  readonly succeeded?: string;
  /** When a run last failed, in ISO 8601; absent: unknown. */
  readonly failed?: string;
  /** The code of that failure, never a message. */
  readonly error?: string;
  /** The run that ended last; absent: unknown. */
  readonly run?: RecordedRun;
}

/** A run of a job. */
export interface RecordedRun {
  /** The agent that ran it. */
  readonly instance: string;
  /** In ISO 8601. */
  readonly ended: string;
  readonly tookMs: number;
}

/**
 * What one running agent says of itself, for operators and for other agents. The agent writes it again every
 * {@link AGENT_RECORD_EVERY_MS} and removes it when it stops. It holds no secret, and no URL.
 */
export interface AgentRecord {
  /** Which of the agents with this id it is; new at each start. */
  readonly instance: string;
  /** See `VersionedCollection`. */
  readonly revision: number;
  readonly version: string;
  readonly startedMs: number;
  /** When this was written, by the clock of the agent: what it says is of then. */
  readonly seenMs: number;
  /** As in `/readyz`. */
  readonly ready: boolean;
  readonly degraded: boolean;
  readonly stopping: boolean;
  /** Every part that this agent watches, by name. */
  readonly parts: Readonly<Record<string, RecordedPart>>;
  /** Every recurring job, by name. */
  readonly jobs: Readonly<Record<string, RecordedJob>>;
  /** The ids of the agent secrets that it has; that of new passwords is the first. */
  readonly secretIds: readonly string[];
}

/** The pause between two writes of a record, in ms. */
export const AGENT_RECORD_EVERY_MS = 10_000;

/** A record that was written longer ago, in ms, says nothing of the present: three writes are missing, and clocks differ. */
const CURRENT_FOR_MS = 3 * AGENT_RECORD_EVERY_MS + 15_000;

/** The records of agents that stopped without removing them are kept for this long, in ms, and the latest ones of them. */
const LOST_KEPT_MS = 24 * 60 * 60_000;
const MAX_LOST = 100;

/** The records of agents. The same failures as `NamespaceStore`. */
export interface AgentRecordStore extends VersionedCollection<AgentRecord> {
  /** All of them, in any order. */
  list(): Promise<AgentRecord[]>;
}

/** Whether the record is young enough to say how the agent is now; otherwise the agent was killed, or lost the store. */
export function isCurrent({ seenMs }: Pick<AgentRecord, 'seenMs'>, nowMs: number): boolean {
  return nowMs - seenMs <= CURRENT_FOR_MS;
}

/**
 * The agents that are gone without having stopped in order, and that no other agent has replaced: for each replaced one
 * another agent started after it was last seen. In the order in which they were last seen.
 */
export function lostAgents(records: readonly AgentRecord[], nowMs: number): AgentRecord[] {
  const starts = records.toSorted((a, b) => a.startedMs - b.startedMs);
  const gone = records.filter((record) => !isCurrent(record, nowMs)).toSorted((a, b) => a.seenMs - b.seenMs);
  return gone.filter(({ instance, seenMs }) => {
    const next = starts.findIndex((other) => other.startedMs > seenMs && other.instance !== instance);
    if (next !== -1) starts.splice(next, 1);
    return next === -1;
  });
}

/** The records that are of no use any more: of agents that are gone for a day, or too many of them. */
export function prunableAgents(records: readonly AgentRecord[], nowMs: number): AgentRecord[] {
  const gone = records.filter((record) => !isCurrent(record, nowMs)).toSorted((a, b) => b.seenMs - a.seenMs);
  return gone.filter(({ seenMs }, index) => index >= MAX_LOST || nowMs - seenMs > LOST_KEPT_MS);
}
