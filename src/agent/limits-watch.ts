import { type OverriddenLimits, readLimits } from '../broker/effective-limits.ts';
import type { AgentContext } from '../context.ts';

/** Reports limits of queues and exchanges that have no effect, although the agent's policies are there. */
export interface LimitsWatch {
  /** Never rejects, except with the reason of the signal. */
  check(signal: AbortSignal): Promise<void>;
}

/** A log line names at most this many queues: there may be thousands. */
const MAX_LOGGED = 20;

/** RabbitMQ's statistics of a quorum queue were up to 17 s older than its policies, in ms. */
const STATISTICS_LAG_MS = 30_000;

/**
 * Creates the watch of one agent. It logs changes alone. What only statistics show counts once every check has found it for
 * longer than they may be old.
 *
 * @param onFound called with what counts, after each check
 */
export function createLimitsWatch(
  { config, management, clock, log }: Pick<AgentContext, 'config' | 'management' | 'clock' | 'log'>,
  onFound: (overridden: readonly OverriddenLimits[]) => void,
): LimitsWatch {
  let foundSince = new Map<string, number>();
  let logged = '';
  let loggedUnknown = '';

  /** Whether something was found by every check for a while; it is forgotten when a check does not find it. */
  const recordFound = (keys: readonly string[]): ((key: string) => boolean) => {
    const nowMs = clock.monotonicMs();
    foundSince = new Map(keys.map((key) => [key, foundSince.get(key) ?? nowMs]));
    return (key) => nowMs - (foundSince.get(key) ?? nowMs) >= STATISTICS_LAG_MS;
  };

  const report = (overridden: readonly OverriddenLimits[]): void => {
    const text = overridden.map(keyOf).join(' ');
    if (text === logged) return;
    logged = text;
    if (overridden.length === 0) {
      log.info({ code: 'limits_effective' }, 'all limits of queues are in effect again');
      return;
    }
    const shown = overridden.slice(0, MAX_LOGGED).map(({ name, by, limits }) => ({ name, policy: by ?? null, limits }));
    log.error(
      { code: 'limits_overridden', count: overridden.length, overridden: shown },
      'another policy takes limits from queues or exchanges',
    );
  };

  const reportUnknown = (unknown: readonly string[]): void => {
    const text = unknown.join(' ');
    if (text === loggedUnknown) return;
    loggedUnknown = text;
    if (unknown.length === 0) return;
    log.warn(
      { code: 'limits_unknown', count: unknown.length, queues: unknown.slice(0, MAX_LOGGED) },
      'RabbitMQ has no statistics that show the limits of these queues',
    );
  };

  return {
    async check(signal) {
      try {
        const found = await readLimits(management, config, { signal });
        const isLasting = recordFound([...found.overridden.map(keyOf), ...found.unknown]);
        const overridden = found.overridden.filter((one) => one.isCurrent || isLasting(keyOf(one)));
        report(overridden);
        reportUnknown(found.unknown.filter(isLasting));
        onFound(overridden);
      } catch (error) {
        signal.throwIfAborted();
        log.warn({ code: 'limits_not_read', err: error }, 'could not read which limits are in effect');
      }
    },
  };
}

function keyOf({ name, by, limits }: OverriddenLimits): string {
  return `${name} ${by ?? ''} ${limits.join()}`;
}
