import type { NoticeKind } from '../contract/notice-kinds.ts';
import type { VersionedCollection } from './versioned-collection.ts';

/**
 * - `held`: its subject is about to happen: it becomes `waiting` when it has happened.
 * - `waiting`: to be sent at `nextAttemptMs`.
 * - `gathered`: the same in a message about several queues; it speaks for others, or another one speaks for it.
 * - `sent`: Taskcluster has accepted it.
 * - `failed`: it could not be delivered, and that was reported.
 * - `withdrawn`: it became pointless before it was sent.
 */
export type NoticeState = 'held' | 'waiting' | 'gathered' | 'sent' | 'failed' | 'withdrawn';

/** The states of a notice that is still to be sent. An agent of an earlier version knows nothing of `gathered` ones. */
export const UNSENT_STATES: readonly NoticeState[] = ['waiting', 'gathered'];

/** When a queue reaches the threshold for deletion that comes first. */
export interface NoticeForecast {
  readonly unit: 'messages' | 'bytes';
  /** How much it grows in a minute; negative while it shrinks. */
  readonly perMinute: number;
  /** In ms since the epoch; null: not at this rate. */
  readonly reachedMs: number | null;
}

/** What a message about several queues states of one of them. */
export type NoticeItem = Pick<
  Notice,
  | 'queue'
  | 'messages'
  | 'bytes'
  | 'seenMs'
  | 'warnAtMessages'
  | 'deleteAtMessages'
  | 'warnAtBytes'
  | 'deleteAtBytes'
  | 'onOvergrown'
  | 'oldestMs'
  | 'idleSinceMs'
  | 'expiresMs'
  | 'forecast'
  | 'peakMessages'
  | 'peakBytes'
>;

/** A message about several queues. It stays as it is, so that each attempt sends the same text. */
export interface NoticeBatch {
  /** How many queues it is about. */
  readonly queues: number;
  /** Its namespaces, and the ids of their notices without the one that has this. */
  readonly parts: readonly {
    readonly namespace: string;
    readonly incarnation: string;
    readonly notices: readonly string[];
  }[];
  /** The queues that it lists. */
  readonly listed: readonly NoticeItem[];
}

/** A message to the owner of a namespace about one change of one queue. Instants are ms since the epoch. */
export interface Notice {
  /** Derived from queue, episode and kind: adding the notice again keeps the first. */
  readonly id: string;
  /** See `VersionedCollection`. */
  readonly revision: number;
  readonly kind: NoticeKind;
  readonly namespace: string;
  /** The incarnation of the namespace in which it happened: a later owner of the name gets no notice. */
  readonly incarnation: string;
  readonly queue: string;
  /** The contact of the namespace when it happened. */
  readonly contact: string;
  /** The earlier notice that has to be settled before this one is sent; null: none. */
  readonly follows: string | null;
  /** Messages in the queue at `seenMs`. */
  readonly messages: number;
  readonly warnAtMessages: number;
  readonly deleteAtMessages: number;
  /** The size of its messages, in bytes; null: it was not known. */
  readonly bytes: number | null;
  /** Null, as `deleteAtBytes`: bytes are not watched. */
  readonly warnAtBytes: number | null;
  readonly deleteAtBytes: number | null;
  /** What is done at the threshold for deletion; absent: the queue is deleted. */
  readonly onOvergrown?: 'purge' | 'leave';
  /** When the oldest message of a purged queue was published; absent: RabbitMQ does not know. */
  readonly oldestMs?: number;
  /** Since when an idle queue was not used, and when it is deleted at the earliest; absent: it is not about that. */
  readonly idleSinceMs?: number;
  readonly expiresMs?: number;
  readonly seenMs: number;
  /** Of a warning: when the queue was to be deleted at its rate at `seenMs`; absent: its rate was not known. */
  readonly forecast?: NoticeForecast;
  /** Of a recovery: the most messages that the queue was seen with since the warning; absent: not known. */
  readonly peakMessages?: number;
  /** The same in bytes, where its size was known. */
  readonly peakBytes?: number;
  /** The notice that speaks for this one if it lists it in its `batch`; absent: none. */
  readonly batchOf?: string;
  /** For which notices this one speaks; absent: for itself. */
  readonly batch?: NoticeBatch;
  readonly state: NoticeState;
  /** The number of attempts to send it. Each is counted before it is made. */
  readonly attempts: number;
  /** When the next attempt may start; during an attempt: when another agent may take over. */
  readonly nextAttemptMs: number;
  /** An attempt was started whose outcome is not written yet. If the notice is due nevertheless, its agent has died. */
  readonly inProgress: boolean;
  /** Whether an earlier attempt may have delivered it, as its answer was lost. */
  readonly mayHaveArrived: boolean;
  /** The code of the latest failed attempt, never a message of the service; null: none failed. */
  readonly lastError: string | null;
  /** When it became `sent`, `failed` or `withdrawn`; null before. */
  readonly settledMs: number | null;
}

/** Which due notices to list, in ascending order of `nextAttemptMs`. */
export interface DueNotices {
  /** Only those whose `nextAttemptMs` is at or before this. */
  readonly beforeMs: number;
  readonly limit: number;
}

/** The outbox of notices. The same failures as `NamespaceStore`. */
export interface NoticeStore extends Pick<VersionedCollection<Notice>, 'get' | 'replace'> {
  /** Adds a notice of revision 1 unless its id is there. Returns the one that is kept: `notice` itself, or an earlier one. */
  add(notice: Notice): Promise<Notice>;
  /** Those in a state of {@link UNSENT_STATES} that are due. */
  due(options: DueNotices): Promise<Notice[]>;
  /** How many are in a state of {@link UNSENT_STATES}. */
  countWaiting(): Promise<number>;
  /** Removes those that were settled before this, and those that are held since before this. Returns how many. */
  prune(beforeMs: number): Promise<number>;
}
