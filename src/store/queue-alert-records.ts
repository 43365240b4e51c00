/**
 * - `warning`: it has grown past the threshold for warnings; its owner is being told.
 * - `warned`: its owner was told, as far as it depends on the agent.
 * - `over`: it has grown past the threshold for deletion; its owner is being told.
 * - `deleting`: the broker may have been asked to delete it.
 * - `deleted`: it is deleted; that is being told.
 * - `recovering`: it is small again; its owner is being told.
 *
 * A queue that is none of this has no alert.
 */
export const QUEUE_ALERT_LEVELS = ['warning', 'warned', 'over', 'deleting', 'deleted', 'recovering'] as const;

/** A level of {@link QUEUE_ALERT_LEVELS}. */
export type QueueAlertLevel = (typeof QUEUE_ALERT_LEVELS)[number];

/** One queue that has grown too large, from the warning until it is small again or deleted. */
export interface QueueAlert {
  /** The queue's whole name. */
  readonly queue: string;
  /** Raised by one with every write; every write is a compare-and-set on it. The first write makes it 1. */
  readonly revision: number;
  readonly namespace: string;
  /** The incarnation of the namespace in which it was raised: the queue of another incarnation is another queue. */
  readonly incarnation: string;
  /** Random, new for every alert: tells this growth of the queue from earlier ones. */
  readonly episode: string;
  readonly level: QueueAlertLevel;
  /** The depth that led to this level. */
  readonly messages: number;
  /** When that depth was seen. */
  readonly seenMs: number;
  /** When this was written. */
  readonly changedMs: number;
}

/** Which part of the alerts to list. */
export interface AlertPage {
  /** Only those that come after the one of this queue. */
  readonly after?: string;
  /** At most so many. */
  readonly limit: number;
}

/** Queues that have grown too large, by name. The same failures as `NamespaceStore`. */
export interface QueueAlertStore {
  get(queue: string): Promise<QueueAlert | undefined>;
  /** Adds an alert of revision 1. Returns false, and changes nothing, when the queue has one. */
  insert(alert: QueueAlert): Promise<boolean>;
  /** Compare-and-set, as `NamespaceStore.replace`. */
  replace(alert: QueueAlert, expectedRevision: number): Promise<boolean>;
  /** Removes the alert if it has this revision. */
  remove(queue: string, expectedRevision: number): Promise<boolean>;
  /** In an order of its own, of which each name has one place. */
  list(options: AlertPage): Promise<QueueAlert[]>;
}
