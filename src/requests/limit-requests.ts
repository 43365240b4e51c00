import { WireError } from '../contract/wire-errors.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import { takeToken, type TokenBucket } from '../util/token-bucket.ts';

/** The clients that are remembered; a forgotten one may send a burst again. */
const MAX_CLIENTS = 20_000;

/**
 * Counts a request of a client, whose signature was checked.
 *
 * @throws WireError `Unavailable` with `retryAfterSeconds`, when it is one too many
 */
export type LimitRequests = (clientId: string) => void;

/** Creates the limit of one agent; null: no limit. A client may send the requests of a minute at once. */
export function createRequestLimit(
  perMinute: number | null,
  clock: Pick<Clock, 'monotonicMs'>,
  onRefused: () => void,
): LimitRequests {
  if (perMinute === null) return () => undefined;
  const buckets = new BoundedMap<string, TokenBucket>({ maxSize: MAX_CLIENTS });
  return (clientId) => {
    const { bucket, waitMs } = takeToken(buckets.get(clientId), { burst: perMinute, perMinute }, clock.monotonicMs());
    buckets.set(clientId, bucket);
    if (waitMs === 0) return;
    onRefused();
    const retryAfterSeconds = Math.ceil(waitMs / 1000);
    throw new WireError(
      'Unavailable',
      `The client ${clientId} sends more than ${perMinute} requests a minute. Send this one again in ${retryAfterSeconds} s.`,
      { details: { retryAfterSeconds } },
    );
  };
}
