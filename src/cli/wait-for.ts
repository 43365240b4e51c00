import { setTimeout as delay } from 'node:timers/promises';
import { WireError } from '../contract/wire-errors.ts';
import { UsageFault } from './define-command.ts';
import { parseDuration } from './time-options.ts';

/** The option of commands that can wait until what they asked for is complete. */
export const WAIT_FLAG = '--wait [duration]';

/** How long `--wait` waits without a duration, in ms. */
const DEFAULT_LIMIT_MS = 5 * 60_000;

const POLL_MS = 500;

/**
 * The value of `--wait`, in ms; undefined without the option.
 *
 * @throws UsageFault
 */
export function waitLimitMs(value: string | true | undefined): number | undefined {
  if (value === undefined) return undefined;
  const limitMs = value === true ? DEFAULT_LIMIT_MS : parseDuration(value);
  if (limitMs === undefined) throw new UsageFault('Give --wait alone, or with a duration such as 10m.');
  return limitMs;
}

/**
 * Waits until `isDone`.
 *
 * @param late the sentence for a wait that took too long
 * @throws WireError `Unavailable` with `late`; what `isDone` throws; the reason of the signal
 */
export async function waitFor(
  isDone: () => Promise<boolean>,
  { limitMs, late, signal }: { readonly limitMs: number; readonly late: string; readonly signal: AbortSignal },
): Promise<void> {
  const untilMs = performance.now() + limitMs;
  while (!(await isDone())) {
    if (performance.now() >= untilMs) throw new WireError('Unavailable', late);
    await delay(POLL_MS, undefined, { signal });
  }
}
