import type { AuditRecord } from '../store/audit-records.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import { type RateLimit, takeToken, type TokenBucket } from '../util/token-bucket.ts';

/**
 * The records of one action of one namespace. A holder can cause some of them as often as it likes. Each action has a
 * limit of its own, so that a flood of claims hides no revocation.
 */
export const AUDIT_LIMIT: RateLimit = { burst: 60, perMinute: 10 };

/** The namespaces and actions that are remembered; a forgotten one may write a burst again. */
const MAX_BUCKETS = 20_000;

/** How many records of a namespace and action were left out of the store. */
interface LeftOut extends Pick<AuditRecord, 'namespace' | 'action'> {
  readonly suppressed: number;
}

/** Decides which records of namespaces go to the store, and counts the rest. */
export interface AuditLimit {
  /** Whether the record goes to the store. If not, it is counted. */
  admit(record: Pick<AuditRecord, 'namespace' | 'action'>): boolean;
  /** What was left out, by namespace and action; the counts start again. */
  takeLeftOut(): LeftOut[];
}

/** Creates the limit of one agent. */
export function createAuditLimit(clock: Pick<Clock, 'monotonicMs'>, limit: RateLimit = AUDIT_LIMIT): AuditLimit {
  const buckets = new BoundedMap<string, TokenBucket>({ maxSize: MAX_BUCKETS });
  // Not larger than what can use up a burst within a minute.
  const leftOut = new Map<string, LeftOut>();
  return {
    admit({ namespace, action }) {
      if (namespace === null) return true;
      const key = `${action} ${namespace}`;
      const { bucket, waitMs } = takeToken(buckets.get(key), limit, clock.monotonicMs());
      buckets.set(key, bucket);
      if (waitMs === 0) return true;
      leftOut.set(key, { namespace, action, suppressed: (leftOut.get(key)?.suppressed ?? 0) + 1 });
      return false;
    },
    takeLeftOut() {
      const counts = [...leftOut.values()];
      leftOut.clear();
      return counts;
    },
  };
}
