import type { LogCode } from '../util/log-codes.ts';

/** What an agent depends on and can lose for a while. The names are those of the parts of its health. */
export type OutagePart = 'management' | 'store' | 'topology' | 'requests' | 'replies' | 'broker-events';

/** A line that reports a failure. */
export interface FailureLine {
  readonly code: LogCode;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What failed while a part was down, beyond lines of the log. */
export interface Losses {
  /** Runs that failed, by job. */
  readonly jobs: Readonly<Record<string, number>>;
  /** How many namespaces had work that failed and is tried again. */
  readonly namespaces: number;
  /** Agent events that were not published, by type. */
  readonly events: Readonly<Record<string, number>>;
}

/** An outage of one part. */
interface Outage {
  readonly sinceMs: number;
  /** Since when it seems to work again. */
  backMs: number | undefined;
  readonly jobs: Map<string, number>;
  readonly namespaces: Set<string>;
  readonly events: Map<string, number>;
}

/** A part that works again. */
export interface EndedOutage {
  readonly part: OutagePart;
  readonly seconds: number;
  readonly losses: Losses;
}

/** The outages that continue. */
export interface OutageSummary {
  /** For how many seconds each part has been down. */
  readonly parts: Readonly<Partial<Record<OutagePart, number>>>;
  /** Lines that were logged at debug only since the last summary, by code. */
  readonly suppressed: Readonly<Record<string, number>>;
}

/** A part that answers this long counts as back, in ms: one that comes and goes has one outage. */
const STABLE_MS = 5_000;

const SUMMARY_EVERY_MS = 60_000;

/** No more names of namespaces than this are remembered. */
const MAX_NAMESPACES = 100_000;

/** Which parts are down, since when, and what failed meanwhile. It decides; {@link createOutageLog} logs. */
export interface Outages {
  readonly any: boolean;
  isDown(part: OutagePart): boolean;
  begin(part: OutagePart, nowMs: number): void;
  /** Counts a line that is not logged. */
  count(part: OutagePart, line: FailureLine): void;
  /** Takes the result of a check of a part that is down; returns the outage if that has ended it. */
  checked(part: OutagePart, works: boolean, nowMs: number): EndedOutage | undefined;
  /** The summary, once a minute. */
  summaryDue(nowMs: number): OutageSummary | undefined;
}

/** Without an outage. */
export function createOutages(): Outages {
  const down = new Map<OutagePart, Outage>();
  const suppressed = new Map<string, number>();
  let summarizedMs = 0;

  return {
    get any() {
      return down.size > 0;
    },
    isDown: (part) => down.has(part),
    begin(part, nowMs) {
      if (down.size === 0) {
        summarizedMs = nowMs;
        suppressed.clear();
      }
      if (down.has(part)) return;
      down.set(part, {
        sinceMs: nowMs,
        backMs: undefined,
        jobs: new Map(),
        namespaces: new Set(),
        events: new Map(),
      });
    },
    count(part, { code, fields }) {
      increment(suppressed, code);
      const outage = down.get(part);
      if (outage === undefined) return;
      const { job, namespace, event } = fields;
      if (code === 'job_failed' && typeof job === 'string') increment(outage.jobs, job);
      if (
        code === 'namespace_work_failed' &&
        typeof namespace === 'string' &&
        outage.namespaces.size < MAX_NAMESPACES
      ) {
        outage.namespaces.add(namespace);
      }
      if (code === 'event_not_published') increment(outage.events, typeOf(event));
    },
    checked(part, works, nowMs) {
      const outage = down.get(part);
      if (outage === undefined) return undefined;
      outage.backMs = works ? (outage.backMs ?? nowMs) : undefined;
      if (outage.backMs === undefined || nowMs - outage.backMs < STABLE_MS) return undefined;
      down.delete(part);
      const { sinceMs, backMs, jobs, namespaces, events } = outage;
      return {
        part,
        seconds: secondsSince(sinceMs, backMs),
        losses: { jobs: Object.fromEntries(jobs), namespaces: namespaces.size, events: Object.fromEntries(events) },
      };
    },
    summaryDue(nowMs) {
      if (down.size === 0 || nowMs - summarizedMs < SUMMARY_EVERY_MS) return undefined;
      summarizedMs = nowMs;
      const parts = Object.fromEntries([...down].map(([part, { sinceMs }]) => [part, secondsSince(sinceMs, nowMs)]));
      const summary = { parts, suppressed: Object.fromEntries(suppressed) };
      suppressed.clear();
      return summary;
    },
  };
}

function secondsSince(sinceMs: number, nowMs: number): number {
  return Math.round((nowMs - sinceMs) / 1000);
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function typeOf(event: unknown): string {
  const type: unknown = typeof event === 'object' && event !== null && 'type' in event ? event.type : undefined;
  return typeof type === 'string' ? type : 'unknown';
}
