import type { QueueAlertLevel } from '../store/queue-alert-records.ts';
import type { NamespaceState } from '../store/namespace-record.ts';
import type { RecordedPart } from '../store/agent-records.ts';
import type { AgentErrorCode } from '../util/agent-errors.ts';

/**
 * - `well`: the installation serves, and nothing needs an operator;
 * - `degraded`: it serves, and something is missing;
 * - `down`: it serves no requests, or whether it does cannot be seen.
 */
export type InstallationState = 'well' | 'degraded' | 'down';

/** Something that an operator should know, and since when it is so. */
export interface Finding {
  readonly level: Exclude<InstallationState, 'well'>;
  /** What it is about, for scripts: a part of `/readyz`, or one of `agents`, `request-queue`, `secrets`, `job`, … */
  readonly about: string;
  /** In ISO 8601; null: unknown. */
  readonly since: string | null;
  /** What is so, as a clause. */
  readonly said: string;
  /** What to do, as a sentence; null: what is said names it, or nothing is to be done. */
  readonly remedy: string | null;
  /** The agents that it is about; empty: none, or all. */
  readonly agents: readonly string[];
}

/**
 * - `ready`, `degraded`, `not-ready`, `stopping`: as the agent says;
 * - `starting`: it was never ready;
 * - `lost`: it was not seen for 45 s, and no other agent has started since;
 * - `replaced`: it was not seen for 45 s, and another agent has started since.
 */
export type AgentState = 'ready' | 'degraded' | 'not-ready' | 'starting' | 'stopping' | 'lost' | 'replaced';

/** An agent, by its record. Instants are in ISO 8601. */
export interface AgentStatus {
  readonly instance: string;
  readonly version: string;
  readonly state: AgentState;
  /** When it started. */
  readonly since: string;
  /** When it wrote its record: all else is of then. */
  readonly seen: string;
  readonly parts: Readonly<Record<string, RecordedPart>>;
  readonly secretIds: readonly string[];
}

/** Whether an agent runs, as far as its record says. */
export function isRunning({ state }: AgentStatus): boolean {
  return state !== 'lost' && state !== 'replaced';
}

/** Why something did not answer. */
export interface NoAnswer {
  readonly answers: false;
  readonly error: { readonly code: AgentErrorCode; readonly message: string };
}

/** The store, as seen from here. */
export type StoreStatus =
  | NoAnswer
  | {
      readonly answers: true;
      readonly kind: 'mongodb' | 'lmdb';
      readonly storeId: string | null;
      readonly namespaces: Readonly<Record<NamespaceState, number>>;
    };

/** RabbitMQ over its management API, as seen from here. */
export type ManagementStatus =
  | NoAnswer
  | {
      readonly answers: true;
      readonly version: string;
      readonly cluster: string;
      readonly nodes: { readonly running: readonly string[]; readonly missing: readonly string[] };
      readonly alarms: readonly { readonly alarm: string; readonly node: string }[];
    };

/** The queue of the requests. Each null: unknown, because what would say it does not answer, or does not know. */
export interface RequestQueueStatus {
  readonly messages: number | null;
  readonly consumers: number | null;
  /** Null also while it has no leader. */
  readonly leader: string | null;
  readonly members: readonly string[] | null;
  readonly online: readonly string[] | null;
}

/** An agent secret that namespaces need. */
export interface SecretStatus {
  readonly secretId: string;
  /** How many namespaces need it. */
  readonly namespaces: number;
  /** The running agents that have it. */
  readonly heldBy: readonly string[];
  /** When an agent recorded last that it has it, in ISO 8601; null: never. It is recorded four times in a rotation interval. */
  readonly lastHeld: string | null;
  /** Since when agents have needed and missed it, in ISO 8601; null: they have not. */
  readonly missingSince: string | null;
}

/** A recurring job. Instants are in ISO 8601; null: unknown. */
export interface JobStatus {
  readonly job: string;
  readonly everySeconds: number;
  readonly succeeded: string | null;
  readonly failed: string | null;
  /** The code of that failure. */
  readonly error: string | null;
  /** It should have succeeded again by now. */
  readonly late: boolean;
}

/** The status of an installation at one instant. What is null is unknown: the store does not answer. */
export interface InstallationStatus {
  readonly state: InstallationState;
  readonly at: string;
  /** The id of the agents. */
  readonly id: string;
  /** The worst first. */
  readonly findings: readonly Finding[];
  readonly agents: readonly AgentStatus[] | null;
  readonly broker: {
    readonly management: ManagementStatus;
    readonly amqp: NoAnswer | { readonly answers: true };
  };
  readonly store: StoreStatus;
  readonly requestQueue: RequestQueueStatus;
  /** Messages that no agent could answer; null: unknown. */
  readonly deadLetters: number | null;
  /** When they were counted, and each. */
  readonly secrets: { readonly at: string; readonly needed: readonly SecretStatus[] } | null;
  readonly jobs: readonly JobStatus[] | null;
  readonly notices: { readonly waiting: number } | null;
  readonly alerts: {
    readonly levels: Readonly<Partial<Record<QueueAlertLevel, number>>>;
    /** The queues that were warned of or deleted last, some of them. */
    readonly queues: readonly { readonly queue: string; readonly level: QueueAlertLevel; readonly since: string }[];
  } | null;
}
