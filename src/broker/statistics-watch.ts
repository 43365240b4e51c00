import type { Clock, Sleep } from '../util/clock.ts';
import { startDeadline } from '../util/deadline.ts';
import { createPolling } from '../util/polling.ts';
import { measureStatistics, type StatisticsCalls, statisticsLagMs, type StatisticsState } from './statistics.ts';

interface StatisticsWatchOptions {
  readonly management: StatisticsCalls;
  readonly clock: Clock;
  readonly sleep: Sleep;
  /** Called with each measured state that differs from the one before. */
  readonly onChange: (state: StatisticsState) => void;
  /** Called when they could not be measured; the watch tries again. */
  readonly onError: (error: unknown) => void;
}

/** Whether RabbitMQ collects statistics, and how old they may be. */
export interface StatisticsWatch {
  readonly state: StatisticsState;
  /** How far statistics may lag behind, in ms; infinite where that is not known. */
  lagMs(): number;
  /** Measures them until {@link StatisticsWatch.close}. */
  start(): void;
  close(): Promise<void>;
}

/** The pause between two measurements, in ms: the configuration of a node changes with its restart only. */
const PAUSE_MS = 300_000;

/** The time limit of a measurement, in ms. */
const LIMIT_MS = 60_000;

/** The pause after a measurement that failed, or found old statistics or none, as right after a start of RabbitMQ, in ms. */
const RETRY_PAUSE_MS = 30_000;

/** Creates the watch. Until the first measurement the statistics are unknown. */
export function createStatisticsWatch(options: StatisticsWatchOptions): StatisticsWatch {
  const { management, onChange, onError } = options;
  let state: StatisticsState = { is: 'unknown' };

  const measure = async (signal: AbortSignal): Promise<void> => {
    const before = state;
    const deadline = startDeadline(LIMIT_MS, signal);
    try {
      // A call that hangs must not delay a stop.
      state = await deadline.race(measureStatistics(management, options, deadline.signal));
      if (state.is !== before.is) onChange(state);
    } catch (error) {
      signal.throwIfAborted();
      state = { is: 'unknown' };
      onError(error);
    } finally {
      deadline.clear();
    }
  };
  const polling = createPolling(measure, () => (state.is === 'on' ? PAUSE_MS : RETRY_PAUSE_MS), options.sleep);

  return {
    get state() {
      return state;
    },
    lagMs: () => statisticsLagMs(state),
    start: () => polling.start(),
    close: () => polling.close(),
  };
}
