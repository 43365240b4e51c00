import { type Clock, elapsedSinceMs, type Moment } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';

/**
 * The F after a record was read, in which a write to the broker that is based on it may be sent. RabbitMQ has no
 * conditional write, so time is the fence: when the window is closed, the record must be read and the write decided
 * again.
 */
export interface WriteWindow {
  /** The time-out of each write in it, in ms. */
  readonly timeoutMs: number;
  /** @throws AgentError `WindowClosed` */
  assertOpen(): void;
}

/**
 * Opens a write window.
 *
 * @param readAt when the reading of the record began.
 */
export function openWindow(clock: Clock, readAt: Moment, fenceMs: number): WriteWindow {
  return {
    timeoutMs: fenceMs,
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
