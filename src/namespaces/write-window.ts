import { type Clock, elapsedSinceMs, type Moment } from '../util/clock.ts';
import type { ManagementCallOptions } from '../broker/management/management.ts';
import { AgentError } from '../util/agent-errors.ts';

/**
 * The F after a record was read, in which a write to the broker that is based on it may be sent. RabbitMQ has no
 * conditional write, so time is the fence: when the window is closed, the record must be read and the write decided
 * again.
 */
export interface WriteWindow {
  /** The time-out of each write in it, in ms. */
  readonly timeoutMs: number;
  /** Whether its writes are sent also while RabbitMQ is split. */
  readonly evenWhenSplit: boolean;
  /** @throws AgentError `WindowClosed` */
  assertOpen(): void;
}

/** The options of a write in the window. */
export function writeOptions(
  window: WriteWindow,
  signal: AbortSignal,
): ManagementCallOptions & { readonly signal: AbortSignal } {
  const { timeoutMs, evenWhenSplit } = window;
  return { signal, timeoutMs, evenWhenSplit, beforeSend: () => window.assertOpen() };
}

/**
 * Opens a write window.
 *
 * @param readAt when the reading of the record began.
 */
export function openWindow(
  clock: Clock,
  readAt: Moment,
  fenceMs: number,
  { evenWhenSplit = false }: Partial<Pick<WriteWindow, 'evenWhenSplit'>> = {},
): WriteWindow {
  return {
    timeoutMs: fenceMs,
    evenWhenSplit,
    assertOpen() {
      const elapsedMs = elapsedSinceMs(clock, readAt);
      if (elapsedMs > fenceMs) {
        throw new AgentError(
          'WindowClosed',
          `The record was read ${Math.round(elapsedMs)} ms ago; writes based on it are safe for ${fenceMs} ms.`,
        );
      }
    },
  };
}
