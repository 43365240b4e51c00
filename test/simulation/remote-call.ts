import { AgentError, type AgentErrorCode } from '../../src/util/agent-errors.ts';
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';
import type { Timeline } from './timeline.ts';

/** The course of a call to the broker or the store. */
export interface Journey {
  /** The delay before it is sent. */
  readonly waitMs: number;
  /** The delay from sending until it takes effect. */
  readonly wireMs: number;
  /** What is lost. `request`: no effect; `answer`: an effect that the caller never learns of. */
  readonly lost: 'request' | 'answer' | undefined;
}

/** What decides the course of a call. */
export interface Odds {
  readonly random: Random;
  /** The probability that a call is not fast and successful. */
  readonly trouble: number;
  readonly machine: Pick<Machine, 'isSlow'>;
  readonly isWrite: boolean;
  readonly timeoutMs: number;
}

const ANYHOW = { late: 5, waits: 2, waitsAndLate: 2, lostAnswer: 3, lostRequest: 2 };
const LATE = { late: 4, waits: 1, waitsAndLate: 3, lostAnswer: 0, lostRequest: 0 };

/** The probability that a write of a slow machine is late. */
const SLOW = 0.8;

/** Chooses the course of a call. */
export function chooseJourney({ random, trouble, machine, isWrite, timeoutMs }: Odds): Journey {
  const quick = random.between(0.2, 4);
  const isSlow = machine.isSlow && isWrite;
  if (!random.chance(isSlow ? SLOW : trouble)) return { waitMs: 0, wireMs: quick, lost: undefined };
  switch (random.weighted(isSlow ? LATE : ANYHOW)) {
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

/** Just within the timeout, where time rules break. */
function late(random: Random, timeoutMs: number): number {
  return random.chance(0.4) ? timeoutMs * random.between(0.95, 1) : random.between(0, timeoutMs);
}

/** A call of a process to the broker or the store. */
export interface RemoteCall<T> {
  readonly timeline: Timeline;
  readonly machine: Machine;
  readonly journey: Journey;
  /** The caller gets a timeout after this time, whether or not the request takes effect. */
  readonly timeoutMs: number;
  readonly fault: AgentErrorCode;
  readonly signal?: AbortSignal | undefined;
  readonly beforeSend?: (() => void) | undefined;
  /** The effect of the call at the other end; returns the answer. */
  readonly effect: () => T;
}

/**
 * Makes the call. A sent request arrives even if the process has died, is stopped or timed out; a dead process gets no
 * answer.
 */
export function callRemotely<T>(call: RemoteCall<T>): Promise<T> {
  const { timeline, machine, journey, timeoutMs, signal } = call;
  return new Promise((resolve, reject) => {
    const unavailable = (): void => reject(new AgentError(call.fault, 'It does not answer.'));
    /** Delivers the answer, unless the process dies or is stopped at that moment. */
    const answer = (deliver: () => void): void =>
      machine.after(0, () => {
        if (machine.step()) machine.after(0, deliver);
      });
    const onAbort = (): void => reject(signal?.reason as Error);
    // Only requests have a deadline; a dead process gets no answer anyway.
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
