/** The kinds of decisions that are recorded. */
export const AUDIT_ACTIONS = [
  'configuration',
  'claim',
  'release',
  'revocation',
  'rotation',
  'deletion',
  'repair',
  'connection-closing',
  'queue-deletion',
  'queue-purge',
  'queue-left',
  'queue-idle',
  'queue-expiry',
  'exemption',
  'notice',
  'adoption',
  'export',
  'import',
  'uninstallation',
] as const;

/** One of {@link AUDIT_ACTIONS}. */
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** Who decided: a Taskcluster client by a request, an agent by itself, or an operator at the command line. */
export type AuditActor = 'client' | 'agent' | 'operator';

/** One decision that had an effect: who did what, when, why, with which outcome. It holds no secret and no contact. */
export interface AuditRecord {
  /** Random: writing the record again changes nothing. */
  readonly id: string;
  readonly atMs: number;
  /** The agent that recorded it. */
  readonly instance: string;
  readonly actor: AuditActor;
  /** The clientId, the instance of the agent, or the operator's account on the machine. */
  readonly actorName: string;
  /** The RabbitMQ user that sent the request, if the client set `user_id`, which RabbitMQ checks. */
  readonly userId: string | null;
  readonly action: AuditAction;
  readonly namespace: string | null;
  /** The account, queue or connection that was acted on; null: the namespace as a whole. */
  readonly subject: string | null;
  readonly reason: string;
  /** `done`, or another outcome. */
  readonly outcome: string;
  /** The correlation id of the request that asked for it. */
  readonly requestId: string | null;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** Which records to list. */
export interface AuditQuery {
  readonly namespace?: string;
  /** Only those at or after this, in ms since the epoch. */
  readonly sinceMs?: number;
  /** Only those before this. */
  readonly untilMs?: number;
  /** Only those before this one: the next page of older ones. */
  readonly before?: Pick<AuditRecord, 'atMs' | 'id'>;
  /** The most records to return: the newest. */
  readonly limit: number;
}

/** The audit. The same failures as `NamespaceStore`. */
export interface AuditStore {
  /** Adds the records whose id is not there yet. After a failure some of them may be there: add them again. */
  append(records: readonly AuditRecord[]): Promise<void>;
  /** The newest that match, in the order of their time and, within a millisecond, of their id. */
  list(query: AuditQuery): Promise<AuditRecord[]>;
  /** Removes those before this. Returns how many. */
  prune(beforeMs: number): Promise<number>;
}
