import type { AgentRecordStore } from './agent-records.ts';
import type { AuditStore } from './audit-records.ts';
import type { NoticeStore } from './notice-records.ts';
import type { QueueAlertStore } from './queue-alert-records.ts';
import type { QueueExemptionStore } from './queue-exemption-records.ts';
import type { NamespaceRecord, NamespaceState } from './namespace-record.ts';
import type { NonceStore, NonceWrite } from './nonce-records.ts';
import type { SecretSightingStore } from './secret-records.ts';
import type { VersionedCollection } from './versioned-collection.ts';

/** Which records to list, in ascending order of their names, by code unit. */
export interface ListOptions {
  /** Only names after this one. */
  readonly after?: string;
  /** The most records to return. */
  readonly limit: number;
  /** Only records in one of these states; in any state when absent. */
  readonly states?: readonly NamespaceState[];
}

/** Which due records to list, in ascending order of the instant. */
export interface DueOptions {
  readonly states: readonly NamespaceState[];
  /** Only records whose instant is at or before this, in ms since the epoch. */
  readonly beforeMs: number;
  readonly limit: number;
}

/**
 * The namespaces. Only tombstones are ever removed. Reads see every write that was answered before they began, by any agent.
 *
 * All methods throw `AgentError` `StoreUnavailable` when the store does not answer in time; a write that throws may have
 * happened: read again.
 */
export interface NamespaceStore extends VersionedCollection<NamespaceRecord> {
  /**
   * Adds a record; with `nonce` only if its key is unknown, and keeps the nonce as well. Returns false when not both were
   * written. The nonce may be kept even then, and where the order is free the record may be written: read both.
   */
  insert(record: NamespaceRecord, nonce?: NonceWrite): Promise<boolean>;
  /** As for a collection, with `nonce` as in `insert`. */
  replace(record: NamespaceRecord, expectedRevision: number, nonce?: NonceWrite): Promise<boolean>;
  list(options: ListOptions): Promise<NamespaceRecord[]>;
  /** By `nextRotationMs`. */
  dueForRotation(options: DueOptions): Promise<NamespaceRecord[]>;
  /** By `expiresMs`. */
  dueForExpiry(options: DueOptions): Promise<NamespaceRecord[]>;
  /** How many namespaces that are `provisioning` or `active` a client has claimed last. Counted in an index: cheap. */
  countHeldBy(clientId: string): Promise<number>;
  /** How many records are in each state. Counted in an index: cheap, but too expensive for every request. */
  countByState(): Promise<Record<NamespaceState, number>>;
}

/** The persistent state of the agents of one installation. Two adapters, MongoDB and LMDB, pass one contract suite. */
export interface Store {
  readonly kind: 'mongodb' | 'lmdb';
  /** Random, created with the store: it enters every password and marks the broker. */
  readonly storeId: string;
  readonly namespaces: NamespaceStore;
  readonly nonces: NonceStore;
  readonly notices: NoticeStore;
  readonly audit: AuditStore;
  readonly queueAlerts: QueueAlertStore;
  readonly agents: AgentRecordStore;
  readonly queueExemptions: QueueExemptionStore;
  readonly secretSightings: SecretSightingStore;
  /** Resolves when the store answers; throws `StoreUnavailable` otherwise. */
  check(): Promise<void>;
  close(): Promise<void>;
}
