import type { Clock } from '../../util/clock.ts';
import {
  afterArrival,
  afterCause,
  afterTry,
  type EventProof,
  isCauseDue,
  type ProofTimes,
  type ProofView,
  UNPROVEN,
  viewProof,
} from '../event-proof.ts';

/** Proves over one connection that broker events arrive, and causes one when none has for a while. */
export interface EventProver {
  readonly view: ProofView;
  /** An event has arrived, whatever it says. */
  recordArrival(): void;
  stop(): void;
}

interface EventProverParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly times: ProofTimes;
  /** Makes RabbitMQ send an event. */
  readonly cause: () => Promise<void>;
  /** Called with the first view, and with each other one. */
  readonly onView: (view: ProofView) => void;
}

const MAX_TICK_MS = 1_000;

/** Starts right after the queues of events were bound and consumed. */
export function startEventProver({ clock, times, cause, onView }: EventProverParts): EventProver {
  let proof: EventProof = UNPROVEN;
  let reported: ProofView | undefined;
  let isCausing = false;

  const view = (): ProofView => viewProof(proof, times, clock.monotonicMs());
  const report = (): void => {
    const now = view();
    if (now === reported) return;
    reported = now;
    onView(now);
  };
  const causeOne = async (): Promise<void> => {
    const triedMs = clock.monotonicMs();
    isCausing = true;
    proof = afterTry(proof, triedMs);
    try {
      await cause();
      proof = afterCause(proof, triedMs, clock.monotonicMs());
    } catch {
      // The view says so when it goes on.
    } finally {
      isCausing = false;
    }
  };
  const tick = (): void => {
    report();
    if (!isCausing && isCauseDue(proof, times, clock.monotonicMs(), view())) void causeOne();
  };
  const timer = setInterval(tick, Math.min(MAX_TICK_MS, times.retryMs)).unref();
  tick();

  return {
    get view() {
      return view();
    },
    recordArrival() {
      proof = afterArrival(clock.monotonicMs());
      report();
    },
    stop: () => clearInterval(timer),
  };
}
