import { type LimitFindings, type OverriddenLimits, readLimits } from '../broker/effective-limits.ts';
import type { AgentContext } from '../context.ts';

/** Reports limits of queues and exchanges that have no effect, although the agent's policies are there. */
export interface LimitsWatch {
  /** Never rejects, except with the reason of the signal. */
  check(signal: AbortSignal): Promise<void>;
}

/** A log line names at most this many queues: there may be thousands. */
const MAX_LOGGED = 20;

/**
 * Creates the watch of one agent. It logs changes alone. What only statistics show counts when two checks in a row find it,
 * as they may be older than a change of the policies.
 *
 * @param onFound called with each finding that counts
 */
export function createLimitsWatch(
  { config, management, log }: Pick<AgentContext, 'config' | 'management' | 'log'>,
  onFound: (overridden: readonly OverriddenLimits[]) => void,
): LimitsWatch {
  let previous = new Set<string>();
  let logged = '';
  let previousUnknown: readonly string[] = [];
  let loggedUnknown = '';

  const confirmed = ({ overridden }: LimitFindings): OverriddenLimits[] => {
    const counted = overridden.filter((one) => one.isCurrent || previous.has(keyOf(one)));
    previous = new Set(overridden.map(keyOf));
    return counted;
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

  /** The statistics of a new queue come some seconds later. */
  const reportUnknown = (found: readonly string[]): void => {
    const unknown = found.filter((name) => previousUnknown.includes(name));
    previousUnknown = found;
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
        const overridden = confirmed(found);
        report(overridden);
        reportUnknown(found.unknown);
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
