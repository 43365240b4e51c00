/** What was done. */
export type AuditAction =
  | 'configuration'
  | 'claim'
  | 'release'
  | 'revocation'
  | 'rotation'
  | 'deletion'
  | 'repair'
  | 'connection-closing'
  | 'queue-deletion'
  | 'notice'
  | 'adoption';

/** On whose account: a Taskcluster client by a request, an agent by itself, or somebody at the command line. */
export type AuditActor = 'client' | 'agent' | 'operator';

/** One decision that had an effect: who did what, when, why, with which outcome. It holds no secret and no contact. */
export interface AuditRecord {
  /** Random: writing it again changes nothing. */
  readonly id: string;
  readonly atMs: number;
  /** Which agent wrote it down. */
  readonly instance: string;
  readonly actor: AuditActor;
  /** The clientId, the instance of the agent, or the operator's account on the machine. */
  readonly actorName: string;
  /** The RabbitMQ user that sent the request, where the broker has checked it. */
  readonly userId: string | null;
  readonly action: AuditAction;
  readonly namespace: string | null;
  /** What was acted on, if not the namespace as a whole: an account, a queue, a connection. */
  readonly subject: string | null;
  readonly reason: string;
  /** `done`, or what else became of it. */
  readonly outcome: string;
  /** The correlation id of the request that asked for it. */
  readonly requestId: string | null;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** Which records to give. */
export interface AuditQuery {
  readonly namespace?: string;
  /** Only those at or after this, in ms since the epoch. */
  readonly sinceMs?: number;
  /** Only those before this. */
  readonly untilMs?: number;
  /** Only those that come before this one, for the next page of older ones. */
  readonly before?: Pick<AuditRecord, 'atMs' | 'id'>;
  /** At most so many: the newest. */
  readonly limit: number;
}

/** The audit. The same failures as `NamespaceStore`. */
export interface AuditStore {
  /** Adds the records whose id is not known yet. After a failure some of them may be there: add them again. */
  append(records: readonly AuditRecord[]): Promise<void>;
  /** The newest ones that fit, in the order of their time and, within a millisecond, of their id. */
  list(query: AuditQuery): Promise<AuditRecord[]>;
  /** Removes those from before this. Returns how many. */
  prune(beforeMs: number): Promise<number>;
}
