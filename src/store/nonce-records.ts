/** One use of a signature, kept until that signature is no longer accepted. */
export interface NonceEntry {
  /** A hash of the Hawk id and the nonce. */
  readonly key: string;
  /** The reply address as the broker delivered it. */
  readonly replyAddress: string;
  readonly correlationId: string;
  /** A hash of the method and the body. */
  readonly digest: string;
  readonly firstSeenMs: number;
  readonly acceptableUntilMs: number;
  /** The outcome of the request, as JSON, for methods that must not act twice; null until it is known. */
  readonly outcome: string | null;
}

/** A nonce to be kept together with a record. */
export interface NonceWrite {
  readonly entry: NonceEntry;
  /** Whether the record may be written although the key turns out to be known. A store with two writes makes both at the same time. */
  readonly isOrderFree: boolean;
}

/** The signatures that were used. The same failures as `NamespaceStore`. */
export interface NonceStore {
  /** Whether a record and the nonce given with it are one write. */
  readonly areWrittenWithRecord: boolean;
  /** The entry that is kept with this key. */
  get(key: string): Promise<NonceEntry | undefined>;
  /**
   * Keeps `entry` unless its key is known. Returns the one that is kept: `entry` itself, or an earlier one. Of concurrent ones
   * with the same key exactly one is kept, and every call returns that one.
   */
  remember(entry: NonceEntry): Promise<NonceEntry>;
  /**
   * Sets the outcome of a remembered request, once: a later outcome does not replace an earlier one. Returns the one that is
   * kept; undefined when no request with this key is remembered.
   */
  recordOutcome(key: string, outcome: string): Promise<string | undefined>;
  /** Removes the entries whose `acceptableUntilMs` is before this. Returns how many. */
  prune(beforeMs: number): Promise<number>;
}
