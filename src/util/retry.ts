/**
 * Calls `work` until it succeeds. After each failure `pause` decides: it resolves when it is time to try again, and throws to
 * stop trying.
 *
 * @example
 * await retry(connect, async (error, failures) => {
 *   log.warn({ err: error }, 'will retry');
 *   await sleep(withJitter(backoffMs(failures, { firstMs: 250, maxMs: 5000 })), signal);
 * });
 */
export async function retry<T>(
  work: () => Promise<T>,
  pause: (error: unknown, failures: number) => Promise<void>,
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      await pause(error, failures);
    }
  }
}

/** The pause after consecutive failures, in ms: `firstMs` after the first, doubled with each one, at most `maxMs`. */
export function backoffMs(failures: number, { firstMs, maxMs }: { firstMs: number; maxMs: number }): number {
  return Math.min(firstMs * 2 ** (failures - 1), maxMs);
}

/** A pause up to a quarter longer or shorter, so that many agents do not retry at the same moment. */
export function withJitter(pauseMs: number, random: () => number = Math.random): number {
  return pauseMs * (0.75 + random() / 2);
}
