import { isAgentError } from '../util/agent-errors.ts';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import type { LogCode } from '../util/log-codes.ts';
import { createOutages, type FailureLine, type OutagePart } from './outages.ts';

/** The log of an agent, which reports an outage once instead of all that fails because of it. */
export interface OutageLog {
  readonly log: Log;
  /**
   * How to find out whether a part works. It is called when a line says that the part failed, and every second while it is
   * down. A promise that rejects says that it does not work. Until a part is watched, all its lines are logged.
   */
  readonly watch: (part: OutagePart, check: () => boolean | Promise<unknown>) => void;
  /** Checks nothing any more. */
  readonly close: () => void;
}

type LogLine = (fields: { readonly code: LogCode } & Readonly<Record<string, unknown>>, message: string) => void;

/** How often a part that is down is checked, in ms. */
const CHECK_EVERY_MS = 1_000;

const PART_OF_CODE: Partial<Record<LogCode, OutagePart>> = {
  broker_events_error: 'broker-events',
  event_not_published: 'topology',
  reply_channel_error: 'replies',
  reply_channel_not_opened: 'replies',
  reply_connection_error: 'replies',
  reply_connection_lost: 'replies',
  request_channel_error: 'requests',
  request_connection_error: 'requests',
  request_connection_lost: 'requests',
  requests_not_consumed: 'requests',
  // Its polls are all that an idle agent asks of MongoDB.
  scheduler_error: 'store',
  topology_connection_error: 'topology',
};

/** The connection is gone when one of these is logged, and the check may learn of it a moment later. */
const LOST: ReadonlySet<LogCode> = new Set<LogCode>([
  'broker_events_error',
  'reply_connection_error',
  'reply_connection_lost',
  'request_connection_error',
  'request_connection_lost',
  'topology_connection_error',
]);

/** These are logged whatever is down: each answers a client, is about what the log alone has, or ends the agent. */
const ALWAYS_LOGGED: ReadonlySet<LogCode> = new Set<LogCode>([
  'agent_must_stop',
  'audit_store_failing',
  'first_reconciliation_failed',
  'request_dead_lettered',
  'request_failed',
]);

/**
 * Wraps the log of an agent. What fails because a part is down is logged at debug. In its place there is one line when the
 * part goes (`part_down`), a summary each minute (`outage_continues`), and one line when it is back, with what was lost
 * (`part_up`).
 */
export function createOutageLog(inner: Log, clock: Pick<Clock, 'monotonicMs'>): OutageLog {
  const outages = createOutages();
  const checks = new Map<OutagePart, () => boolean | Promise<unknown>>();
  /** Parts whose check is in progress. */
  const checking = new Set<OutagePart>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const begin = (part: OutagePart, { code, fields }: FailureLine): void => {
    outages.begin(part, clock.monotonicMs());
    inner.warn({ ...fields, code: 'part_down', part, because: code }, 'a part of the agent does not work');
    if (!isClosed) timer ??= setInterval(tick, CHECK_EVERY_MS).unref();
  };

  const end = (part: OutagePart, works: boolean): void => {
    const ended = outages.checked(part, works, clock.monotonicMs());
    if (ended === undefined) return;
    const { seconds, losses } = ended;
    inner.info({ code: 'part_up', part, seconds, ...losses }, 'a part of the agent works again');
    if (outages.any) return;
    clearInterval(timer);
    timer = undefined;
  };

  /** Resolves a check that takes time with `onChecked`; the result of any other is returned. */
  const check = (part: OutagePart, onChecked: (works: boolean) => void): boolean | undefined => {
    if (checking.has(part)) return undefined;
    const result = checks.get(part)?.();
    if (typeof result === 'boolean' || result === undefined) return result;
    checking.add(part);
    const answered = (works: boolean): void => {
      checking.delete(part);
      if (!isClosed) onChecked(works);
    };
    void result.then(
      () => answered(true),
      () => answered(false),
    );
    return undefined;
  };

  const tick = (): void => {
    for (const part of checks.keys()) {
      if (!outages.isDown(part)) continue;
      const works = check(part, (result) => end(part, result));
      if (works !== undefined) end(part, works);
    }
    const summary = outages.summaryDue(clock.monotonicMs());
    if (summary !== undefined) inner.warn({ code: 'outage_continues', ...summary }, 'parts of the agent do not work');
  };

  /** Whether a line is left to the report about an outage. */
  const isSuppressed = (line: FailureLine): boolean => {
    const [part, ...others] = partsOf(line);
    if (part === undefined) return false;
    const known = [part, ...others].find((one) => outages.isDown(one));
    if (known !== undefined) {
      if (ALWAYS_LOGGED.has(line.code)) return false;
      outages.count(known, line);
      return true;
    }
    if (LOST.has(line.code) && checks.has(part)) {
      begin(part, line);
      return true;
    }
    const works = check(part, (result) => {
      if (!result && !outages.isDown(part)) begin(part, line);
    });
    if (works !== false) return false;
    begin(part, line);
    return !ALWAYS_LOGGED.has(line.code);
  };

  const log = Object.create(inner) as Log;
  for (const level of ['warn', 'error'] as const) {
    const logAtLevel = inner[level].bind(inner) as LogLine;
    const logAtDebug = inner.debug.bind(inner) as LogLine;
    const value: LogLine = ({ code, ...fields }, message) =>
      (isSuppressed({ code, fields }) ? logAtDebug : logAtLevel)({ code, ...fields }, message);
    // A child sets methods of its own.
    Object.defineProperty(log, level, { value, writable: true, configurable: true });
  }
  return {
    log,
    watch: (part, isThere) => void checks.set(part, isThere),
    close() {
      isClosed = true;
      clearInterval(timer);
    },
  };
}

/** The parts that a line blames, the likeliest first. */
function partsOf({ code, fields: { err } }: FailureLine): readonly OutagePart[] {
  const known = PART_OF_CODE[code];
  if (known !== undefined) return [known];
  if (isAgentError(err, 'StoreUnavailable')) return ['store'];
  // The management API, or a connection for a short time, which goes with the others.
  if (isAgentError(err, 'BrokerUnavailable')) return ['management', 'topology'];
  return [];
}
