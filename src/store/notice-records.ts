/** What a notice tells of: a queue passed the threshold for warnings, was deleted, or is small again. */
export type NoticeKind = 'queue-warning' | 'queue-deletion' | 'queue-recovered';

/**
 * - `held`: what it tells of is about to happen: it is sent only once somebody makes it `waiting`.
 * - `waiting`: to be sent, at `nextAttemptMs`.
 * - `sent`: Taskcluster has taken it.
 * - `failed`: it could not be delivered, and that was told.
 * - `withdrawn`: it has become pointless before it was sent.
 */
export type NoticeState = 'held' | 'waiting' | 'sent' | 'failed' | 'withdrawn';

/** A message to the owner of a namespace about one change of one queue. Instants are ms since the epoch. */
export interface Notice {
  /** Made by whoever adds it from what it tells of (queue, episode, kind): adding it again keeps the first. */
  readonly id: string;
  /** Raised by one with every write; the first write makes it 1. */
  readonly revision: number;
  readonly kind: NoticeKind;
  readonly namespace: string;
  /** The incarnation of the namespace in which it happened: a later owner of the name is not told. */
  readonly incarnation: string;
  readonly queue: string;
  /** The contact of the namespace when it happened. */
  readonly contact: string;
  /** The notice of what came before, which is settled before this one is sent; null: there is none. */
  readonly follows: string | null;
  /** Messages in the queue at `seenMs`. */
  readonly messages: number;
  readonly warnAtMessages: number;
  readonly deleteAtMessages: number;
  readonly seenMs: number;
  readonly state: NoticeState;
  /** How often sending it was begun. Each attempt is counted before it is made. */
  readonly attempts: number;
  /** When the next attempt may begin; while one is under way: when somebody else may take it over. */
  readonly nextAttemptMs: number;
  /** An attempt was begun whose end is not written yet. If it is due all the same, whoever made it has died. */
  readonly inProgress: boolean;
  /** Whether an earlier attempt may have delivered it all the same: its answer was lost. */
  readonly mayHaveArrived: boolean;
  /** Why the latest attempt failed: a code, never a message of the other side; null: none has. */
  readonly lastError: string | null;
  /** When it became `sent`, `failed` or `withdrawn`; null before. */
  readonly settledMs: number | null;
}

/** Which notices are to be sent now, in ascending order of `nextAttemptMs`. */
export interface DueNotices {
  /** Only those whose `nextAttemptMs` is at or before this. */
  readonly beforeMs: number;
  readonly limit: number;
}

/** The outbox of notices. The same failures as `NamespaceStore`. */
export interface NoticeStore {
  /** Adds a notice of revision 1 unless its id is known. Returns the one that is kept, which may be an earlier one. */
  add(notice: Notice): Promise<Notice>;
  get(id: string): Promise<Notice | undefined>;
  /** Compare-and-set, as `NamespaceStore.replace`. */
  replace(notice: Notice, expectedRevision: number): Promise<boolean>;
  /** Those in the state `waiting` whose time has come. */
  due(options: DueNotices): Promise<Notice[]>;
  /** How many are in the state `waiting`. */
  countWaiting(): Promise<number>;
  /** Removes those that were settled, or that are held for what was seen, before this. Returns how many. */
  prune(beforeMs: number): Promise<number>;
}
