import type { EventData } from '../contract/events.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import { backoffMs } from '../util/retry.ts';

/** What the agent does for a namespace without a request. */
export type Work = EventData<'namespace.failing'>['work'];

/** Work for a namespace that failed and is tried again. */
export interface NamespaceWorkFailure {
  readonly namespace: string;
  readonly work: Work;
  /** How often it has failed in a row. */
  readonly failures: number;
  readonly error: unknown;
  /** When it is tried again, in ms since the epoch. */
  readonly retryAtMs: number;
}

/**
 * Delays work that keeps failing, so that it does not take the time of all other work. It is kept in memory and lost
 * when the agent stops.
 */
export interface Backoff {
  /** Whether the work may be tried now. */
  ready(work: Work, namespace: string): boolean;
  failed(work: Work, namespace: string, error: unknown): void;
  succeeded(work: Work, namespace: string): void;
  /** The work for a namespace that has failed and not succeeded since. */
  failing(namespace: string): NamespaceWorkFailure[];
  /** What the work waited for has come: it may be tried now. */
  retryNow(work: Work, namespace: string): void;
}

const WORKS: readonly Work[] = ['rotation', 'deletion', 'repair', 'revocation'];

const PAUSES = { firstMs: 1_000, maxMs: 5 * 60_000 } as const;

/** Work that is not tried for an hour is no longer failing: another agent did it. */
const FORGET_AFTER_MS = 60 * 60_000;

/** Creates a backoff without failures. */
export function createBackoff(clock: Clock, onFailure: (failure: NamespaceWorkFailure) => void): Backoff {
  const isExpired = ({ untilMs }: { untilMs: number }): boolean => clock.monotonicMs() >= untilMs + FORGET_AFTER_MS;
  const pauses = new BoundedMap<string, NamespaceWorkFailure & { readonly untilMs: number }>({ isExpired });
  return {
    ready: (work, namespace) => (pauses.get(keyOf(work, namespace))?.untilMs ?? -Infinity) <= clock.monotonicMs(),
    failed(work, namespace, error) {
      const key = keyOf(work, namespace);
      const known = pauses.get(key);
      const failures = known === undefined || isExpired(known) ? 1 : known.failures + 1;
      const pauseMs = backoffMs(failures, PAUSES);
      const failure = { namespace, work, failures, error, retryAtMs: clock.nowMs() + pauseMs };
      pauses.set(key, { ...failure, untilMs: clock.monotonicMs() + pauseMs });
      onFailure(failure);
    },
    succeeded: (work, namespace) => void pauses.delete(keyOf(work, namespace)),
    failing: (namespace) =>
      WORKS.flatMap((work) => {
        const known = pauses.get(keyOf(work, namespace));
        if (known === undefined || isExpired(known)) return [];
        const { failures, error, retryAtMs } = known;
        return [{ namespace, work, failures, error, retryAtMs }];
      }),
    retryNow: (work, namespace) => void pauses.delete(keyOf(work, namespace)),
  };
}

function keyOf(work: Work, namespace: string): string {
  return `${work} ${namespace}`;
}
