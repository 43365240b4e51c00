import type { AuditStore } from './audit-records.ts';
import type { NoticeStore } from './notice-records.ts';
import type { QueueAlertStore } from './queue-alert-records.ts';
import type { NamespaceRecord, NamespaceState, NonceEntry } from './namespace-record.ts';

/** Which part of the names to list, in ascending order of name (by code unit). */
export interface ListOptions {
  /** Only names after this one. */
  readonly after?: string;
  /** At most so many. */
  readonly limit: number;
  /** Only records in one of these states; all when absent. */
  readonly states?: readonly NamespaceState[];
}

/** Which records have something due, in ascending order of the instant. */
export interface DueOptions {
  readonly states: readonly NamespaceState[];
  /** Only records whose instant is at or before this one, in ms since the epoch. */
  readonly beforeMs: number;
  readonly limit: number;
}

/**
 * The namespaces. Reads see every write that was answered before they began, from whichever agent.
 * All methods throw `AgentError` `StoreUnavailable` when the store does not answer in time; a write that throws may
 * have happened: read again.
 */
export interface NamespaceStore {
  get(namespace: string): Promise<NamespaceRecord | undefined>;
  /** Adds a record of revision 1. Returns false, and changes nothing, when the name is there in any state. */
  insert(record: NamespaceRecord): Promise<boolean>;
  /**
   * Compare-and-set: puts `record`, whose revision must be `expectedRevision + 1`, in the place of the one that has
   * `expectedRevision`. Returns false, and changes nothing, when there is none.
   */
  replace(record: NamespaceRecord, expectedRevision: number): Promise<boolean>;
  /** Removes the record if it has this revision. Only tombstones are ever removed. */
  remove(namespace: string, expectedRevision: number): Promise<boolean>;
  list(options: ListOptions): Promise<NamespaceRecord[]>;
  /** By `nextRotationMs`. */
  dueForRotation(options: DueOptions): Promise<NamespaceRecord[]>;
  /** By `expiresMs`. */
  dueForExpiry(options: DueOptions): Promise<NamespaceRecord[]>;
  /** How many namespaces that are `provisioning` or `active` a client has claimed last. Counted in an index: cheap. */
  countHeldBy(clientId: string): Promise<number>;
  /** How many records are in each state. Counted in an index: cheap, but no call for every request. */
  countByState(): Promise<Record<NamespaceState, number>>;
}

/** Signatures that were used. The same failures as {@link NamespaceStore}. */
export interface NonceStore {
  /**
   * Keeps `entry` unless its key is known. Returns what is kept: `entry` itself, or the earlier one.
   * Of several at once with the same key exactly one is kept, and all get that one.
   */
  remember(entry: NonceEntry): Promise<NonceEntry>;
  /**
   * Sets the outcome of a remembered request, once: a later outcome does not replace an earlier one. Returns what is
   * kept; undefined when no request with this key is remembered.
   */
  recordOutcome(key: string, outcome: string): Promise<string | undefined>;
  /** Removes entries whose `acceptableUntilMs` is before this. Returns how many. */
  prune(beforeMs: number): Promise<number>;
}

/** Everything an agent must remember. Two adapters, MongoDB and LMDB, pass one contract suite. */
export interface Store {
  readonly kind: 'mongodb' | 'lmdb';
  /** Random, made with the store: it enters every password and marks the broker. */
  readonly storeId: string;
  readonly namespaces: NamespaceStore;
  readonly nonces: NonceStore;
  readonly notices: NoticeStore;
  readonly audit: AuditStore;
  readonly queueAlerts: QueueAlertStore;
  /** Resolves when the store answers; throws `StoreUnavailable` otherwise. */
  check(): Promise<void>;
  close(): Promise<void>;
}
