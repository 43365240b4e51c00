import type { AuditRecord } from './audit-records.ts';
import type { NamespaceRecord } from './namespace-record.ts';
import type { NonceEntry } from './nonce-records.ts';
import type { Notice } from './notice-records.ts';
import type { QueueAlert } from './queue-alert-records.ts';
import type { QueueExemption } from './queue-exemption-records.ts';
import type { StoreIdentity } from './store-identity.ts';
import type { Store } from './store.ts';

/** What an export takes along: all records of a store, by collection. */
export interface StoreContents {
  readonly namespaces: NamespaceRecord;
  readonly queueAlerts: QueueAlert;
  readonly queueExemptions: QueueExemption;
  readonly notices: Notice;
  readonly nonces: NonceEntry;
  readonly audit: AuditRecord;
}

/** The name of a collection of {@link StoreContents}. */
export type StoreCollection = keyof StoreContents;

/** What an export leaves out: what agents say of themselves and of their secrets now. */
type LeftOut = 'agents' | 'secretSightings';

/** The collections, in the order of the file. Each of a store is here or left out by name, so that none is forgotten. */
export const STORE_COLLECTIONS = Object.keys({
  namespaces: true,
  queueAlerts: true,
  queueExemptions: true,
  notices: true,
  nonces: true,
  audit: true,
} satisfies Record<Exclude<keyof Store, 'kind' | 'storeId' | 'check' | 'close' | LeftOut>, true>) as StoreCollection[];

/**
 * A store that is opened to be copied as a whole, while no agent uses it. All methods throw `AgentError`
 * `StoreUnavailable`.
 */
export interface StoreTransfer {
  readonly kind: Store['kind'];
  /** Undefined: no agent has used it. */
  readonly identity: StoreIdentity | undefined;
  /** Whether it has no record of any kind. */
  isEmpty(): Promise<boolean>;
  /** All records of a collection, in an order of the adapter's own. A page is read on demand. */
  pages(collection: StoreCollection, signal: AbortSignal): AsyncGenerator<readonly object[]>;
  /** Removes all records. From now on no agent can use the store, until {@link finishImport}. */
  beginImport(identity: StoreIdentity): Promise<void>;
  /** Adds records as they are, with their revisions. */
  add(collection: StoreCollection, records: readonly object[]): Promise<void>;
  /**
   * Makes the store usable.
   *
   * @returns false, and changes nothing, when another import has begun since
   */
  finishImport(identity: StoreIdentity): Promise<boolean>;
  /** Keeps agents from using the store any more, from now on. */
  retire(nowMs: number): Promise<void>;
  /** Adds an audit record. */
  audit(record: AuditRecord): Promise<void>;
  /**
   * What changes at least every {@link ACTIVITY_INTERVAL_MS} while an agent uses the store. Undefined: no agent can, as this
   * process holds it.
   */
  activity(): Promise<string | undefined>;
  close(): Promise<void>;
}

/** How long {@link StoreTransfer.activity} may stay the same while an agent runs, in ms: its jobs run every second. */
export const ACTIVITY_INTERVAL_MS = 6_000;
