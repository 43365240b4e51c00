import { AgentError, type AgentErrorCode } from '../../src/util/agent-errors.ts';
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';
import type { Timeline } from './timeline.ts';

/** The course of a call to the broker or to the store. */
export interface Journey {
  /** Before it is sent. */
  readonly waitMs: number;
  /** From the sending to its effect. */
  readonly wireMs: number;
  /** `request`: it has no effect; `answer`: it has one, and the caller gets no answer. */
  readonly lost: 'request' | 'answer' | undefined;
}

/** What the journey of a call depends on, besides chance. */
export interface Odds {
  readonly random: Random;
  /** How often a call is slow or lost. */
  readonly faultRate: number;
  readonly machine: Pick<Machine, 'isSlow'>;
  readonly isWrite: boolean;
  readonly timeoutMs: number;
}

const FAULT_WEIGHTS = { late: 5, waits: 2, waitsAndLate: 2, lostAnswer: 3, lostRequest: 2 };
const SLOW_WRITE_WEIGHTS = { late: 4, waits: 1, waitsAndLate: 3, lostAnswer: 0, lostRequest: 0 };

/** How often a write of a slow machine is late. */
const SLOW_WRITE_RATE = 0.8;

/** Chooses the journey of a call. */
export function chooseJourney({ random, faultRate, machine, isWrite, timeoutMs }: Odds): Journey {
  const quick = random.between(0.2, 4);
  const isSlow = machine.isSlow && isWrite;
  if (!random.chance(isSlow ? SLOW_WRITE_RATE : faultRate)) return { waitMs: 0, wireMs: quick, lost: undefined };
  switch (random.weighted(isSlow ? SLOW_WRITE_WEIGHTS : FAULT_WEIGHTS)) {
    case 'late':
      return { waitMs: 0, wireMs: late(random, timeoutMs), lost: undefined };
    case 'waits':
      return { waitMs: random.between(0, timeoutMs), wireMs: quick, lost: undefined };
    case 'waitsAndLate':
      return { waitMs: random.between(0, timeoutMs), wireMs: late(random, timeoutMs), lost: undefined };
    case 'lostAnswer':
      return { waitMs: 0, wireMs: random.chance(0.5) ? late(random, timeoutMs) : quick, lost: 'answer' };
    case 'lostRequest':
      return { waitMs: 0, wireMs: quick, lost: 'request' };
  }
}

/** Often at the very end of the time-out, where mistakes in timing show. */
function late(random: Random, timeoutMs: number): number {
  return random.chance(0.4) ? timeoutMs * random.between(0.95, 1) : random.between(0, timeoutMs);
}

/** A call of a process to the broker or the store. */
export interface RemoteCall<T> {
  readonly timeline: Timeline;
  readonly machine: Machine;
  readonly journey: Journey;
  /** After this many ms from its beginning the call fails for the caller, whatever happens to the request. */
  readonly timeoutMs: number;
  readonly fault: AgentErrorCode;
  readonly signal?: AbortSignal | undefined;
  readonly beforeSend?: (() => void) | undefined;
  /** The effect of the call at the other side, and its answer. */
  readonly effect: () => T;
}

/**
 * Makes the call. What was sent arrives even if the process has died, stalled or timed out since. A dead process gets
 * no answer.
 */
export function callRemotely<T>(call: RemoteCall<T>): Promise<T> {
  const { timeline, machine, journey, timeoutMs, signal } = call;
  return new Promise((resolve, reject) => {
    const unavailable = (): void => reject(new AgentError(call.fault, 'No answer within the time-out.'));
    /** Delivers the answer, unless the process dies or stalls at that moment. */
    const answer = (deliver: () => void): void =>
      machine.after(0, () => {
        if (machine.step()) machine.after(0, deliver);
      });
    const onAbort = (): void => reject(signal?.reason as Error);
    // Only requests have a deadline.
    signal?.addEventListener('abort', onAbort, { once: true });
    const send = (): void => {
      if (signal?.aborted === true) return;
      try {
        call.beforeSend?.();
      } catch (error) {
        reject(error);
        return;
      }
      const isTooLate = journey.waitMs + journey.wireMs > timeoutMs;
      if (journey.lost !== undefined || isTooLate) machine.after(timeoutMs - journey.waitMs, () => answer(unavailable));
      if (journey.lost === 'request') return;
      timeline.after(journey.wireMs, () => {
        const value = call.effect();
        if (journey.lost === undefined && !isTooLate) answer(() => resolve(value));
      });
    };
    if (!machine.step()) return;
    machine.after(journey.waitMs, send);
  });
}
