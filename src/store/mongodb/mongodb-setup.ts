/** The set-up of a MongoDB server. */
export interface MongoSetup {
  /** The name of its replica set; undefined for a standalone server and behind a router of shards. */
  readonly replicaSet: string | undefined;
  readonly isSharded: boolean;
  /** Its clock, in ms since the epoch; undefined when it does not report it. */
  readonly timeMs: number | undefined;
}

/** Whether it is one server, whose disk is the only copy. */
export function isStandalone({ replicaSet, isSharded }: MongoSetup): boolean {
  return replicaSet === undefined && !isSharded;
}

/** What to do about such a server, as a sentence. */
export const STANDALONE_REMEDY =
  'Run MongoDB as a replica set: otherwise a lost disk is a lost store, and no write can be retried safely.';
