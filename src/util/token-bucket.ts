/** How much is let through: `burst` at once, and `perMinute` in the long run. */
export interface RateLimit {
  readonly burst: number;
  readonly perMinute: number;
}

/** What is left of a limit. */
export interface TokenBucket {
  readonly tokens: number;
  /** When that was so, in ms of a clock that never goes back. */
  readonly atMs: number;
}

/** The bucket after a try, and how long to wait for the next token after a try that failed; 0: it succeeded. */
export interface TokenTaken {
  readonly bucket: TokenBucket;
  readonly waitMs: number;
}

const MINUTE_MS = 60_000;

/** Takes a token, if there is one. A bucket that is unknown is full. */
export function takeToken(bucket: TokenBucket | undefined, { burst, perMinute }: RateLimit, nowMs: number): TokenTaken {
  const refilled = bucket === undefined ? burst : bucket.tokens + ((nowMs - bucket.atMs) * perMinute) / MINUTE_MS;
  const tokens = Math.min(burst, refilled);
  // Sums of parts of a token may be short of a whole one by a rounding error.
  const waitMs = tokens > 1 - 1e-9 ? 0 : ((1 - tokens) * MINUTE_MS) / perMinute;
  return { bucket: { tokens: waitMs === 0 ? Math.max(0, tokens - 1) : tokens, atMs: nowMs }, waitMs };
}
