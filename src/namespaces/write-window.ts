import { type Clock, elapsedSinceMs, type Moment } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';

/**
 * The time within which a write to the broker may be sent that is based on a record: F after the record was read.
 * RabbitMQ has no conditional write, so time is the fence: a write that meets a closed window must be decided anew.
 */
export interface WriteWindow {
  /** The time-out of each write in it, in ms. */
  readonly timeoutMs: number;
  /** @throws AgentError `WindowClosed` */
  assertOpen(): void;
}

/** A window that opened when the reading of the record began. */
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
