import type { VersionedCollection } from './versioned-collection.ts';

/**
 * - `warning`: it has grown past the threshold for warnings; a notice to its owner is being written.
 * - `warned`: that notice is in the outbox.
 * - `over`: it has grown past the threshold for deletion; a notice to its owner is being written.
 * - `deleting`: the broker may have been asked to delete it.
 * - `deleted`: it is deleted; that is being reported.
 * - `purging`: the broker may have been asked to purge it.
 * - `purged`: it is purged; that is being reported, or was: listings that show it as deep may come for some seconds more.
 * - `leaving`: it has grown past the threshold for deletion and stays, by its rule; that is being reported.
 * - `left`: that is reported.
 * - `recovering`: it is small again; that is being reported.
 *
 * Any other queue has no alert.
 */
export const QUEUE_ALERT_LEVELS = [
  'warning',
  'warned',
  'over',
  'deleting',
  'deleted',
  'purging',
  'purged',
  'leaving',
  'left',
  'recovering',
] as const;

/** A level of {@link QUEUE_ALERT_LEVELS}. */
export type QueueAlertLevel = (typeof QUEUE_ALERT_LEVELS)[number];

/** A queue that has grown too large, from the warning until it is small again or deleted. */
export interface QueueAlert {
  /** The queue's whole name. */
  readonly queue: string;
  /** See `VersionedCollection`. */
  readonly revision: number;
  readonly namespace: string;
  /** The incarnation of the namespace in which it was raised: the queue of another incarnation is another queue. */
  readonly incarnation: string;
  /** Random, new for every alert: it distinguishes this growth of the queue from earlier ones. */
  readonly episode: string;
  readonly level: QueueAlertLevel;
  /** The depth that led to this level. */
  readonly messages: number;
  /** The size of its messages, as last known then, in bytes; null: it was not known. */
  readonly bytes: number | null;
  /** The most messages that it was seen with since the warning; absent: an earlier version wrote this. */
  readonly peakMessages?: number;
  /** The same in bytes; absent: its size was never known. */
  readonly peakBytes?: number;
  /** When that depth was seen. */
  readonly seenMs: number;
  /** When the oldest of its messages was published, as a queue that is purged had it; absent: RabbitMQ does not know. */
  readonly oldestMs?: number;
  /** Whether the purge of a `purged` one was reported; absent: not yet. */
  readonly isReported?: true;
  /** Since when an unused queue has been idle: the alert is about that, not about its size; absent: its size. */
  readonly idleSinceMs?: number;
  /** When this was written. */
  readonly changedMs: number;
}

/** Which alerts to list. */
export interface AlertPage {
  /** Only those after the alert of this queue. */
  readonly after?: string;
  /** The most alerts to return. */
  readonly limit: number;
}

/** The queue alerts, by queue. The same failures as `NamespaceStore`. */
export interface QueueAlertStore extends VersionedCollection<QueueAlert> {
  /** In an order of the adapter's own, in which each name has one place. */
  list(options: AlertPage): Promise<QueueAlert[]>;
}
