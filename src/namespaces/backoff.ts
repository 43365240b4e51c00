import type { EventData } from '../contract/events.ts';
import type { Clock } from '../util/clock.ts';

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

/** Keeps what fails again and again from taking the time of everything else. It forgets when the agent ends. */
export interface Backoff {
  /** Whether the work may be tried now. */
  ready(work: Work, namespace: string): boolean;
  failed(work: Work, namespace: string, error: unknown): void;
  succeeded(work: Work, namespace: string): void;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5 * 60_000;

/** What is not tried for an hour is no longer failing: somebody else did it. */
const FORGET_AFTER_MS = 60 * 60_000;

/** Starts without failures. */
export function createBackoff(clock: Clock, onFailure: (failure: NamespaceWorkFailure) => void): Backoff {
  const failing = new Map<string, { readonly failures: number; readonly untilMs: number }>();
  const forgetOld = (): void => {
    for (const [key, { untilMs }] of failing) {
      // In order of their last failure: the first young one ends it.
      if (clock.monotonicMs() < untilMs + FORGET_AFTER_MS) return;
      failing.delete(key);
    }
  };
  return {
    ready: (work, namespace) => (failing.get(keyOf(work, namespace))?.untilMs ?? -Infinity) <= clock.monotonicMs(),
    failed(work, namespace, error) {
      forgetOld();
      const key = keyOf(work, namespace);
      const failures = (failing.get(key)?.failures ?? 0) + 1;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
      failing.delete(key);
      failing.set(key, { failures, untilMs: clock.monotonicMs() + pauseMs });
      onFailure({ namespace, work, failures, error, retryAtMs: clock.nowMs() + pauseMs });
    },
    succeeded: (work, namespace) => void failing.delete(keyOf(work, namespace)),
  };
}

function keyOf(work: Work, namespace: string): string {
  return `${work} ${namespace}`;
}
