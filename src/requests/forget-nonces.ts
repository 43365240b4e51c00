import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { NonceStore } from '../store/store.ts';

/** What {@link forgetNonces} works with. */
export interface ForgetNoncesParts {
  readonly nonces: Pick<NonceStore, 'prune'>;
  readonly clock: Clock;
  readonly log: Log;
  /** The pause between two rounds, in ms. */
  readonly everyMs: number;
  /** Resolves after so many ms, rejects when the signal is aborted. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Removes the memory of signatures that can no longer be accepted, round after round, until the signal is aborted; then
 * it resolves. A round that fails is in the log, and the next one does its work.
 */
export async function forgetNonces(parts: ForgetNoncesParts, signal: AbortSignal): Promise<void> {
  const { nonces, clock, log, everyMs } = parts;
  const wait = parts.wait ?? ((ms: number) => sleep(ms, undefined, { signal, ref: false }));
  for (;;) {
    try {
      await wait(everyMs, signal);
    } catch {
      return;
    }
    try {
      const count = await nonces.prune(clock.nowMs());
      log.debug({ count }, 'forgot signatures that are too old to be accepted');
    } catch (error) {
      log.warn({ err: error }, 'old signatures could not be forgotten; the next round does it');
    }
  }
}
