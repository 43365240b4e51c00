import { MEASURE_MS, type StatisticsState, unmetDuties } from '../broker/statistics.ts';
import { type QueueLimitsConfig, areBytesWatched } from '../queues/queue-limits.ts';
import { failed, ok, type Step, type StepResult, warning } from './step.ts';

interface StatisticsStepOptions {
  readonly config: QueueLimitsConfig;
  readonly measure: (signal: AbortSignal) => Promise<StatisticsState>;
}

/** Names the duties that an agent cannot do on this broker, because it collects no statistics, or rarely. */
export function statisticsStep({ config, measure }: StatisticsStepOptions): Step {
  return {
    name: 'statistics',
    about: "duties that need RabbitMQ's statistics",
    needs: ['management-api'],
    essential: false,
    patienceMs: MEASURE_MS,
    run: async (signal) => checkStatistics(await measure(signal), areBytesWatched(config)),
  };
}

const REMEDIES = {
  off: 'Set management_agent.disable_metrics_collector and management.disable_stats to false in rabbitmq.conf (conf.d/ of the official image sets the first), and restart the node.',
  slow: 'Set collect_statistics_interval to 5000 in rabbitmq.conf, or warnAtBytes and deleteAtBytes to null.',
} as const;

export function checkStatistics(state: StatisticsState, watchesBytes: boolean): StepResult {
  const duties = [...unmetDuties(state, watchesBytes)].map(([duty, consequence]) => `${duty}: ${consequence}`);
  switch (state.is) {
    case 'on':
      return ok(`the agent can do all of them: statistics are collected every ${state.intervalMs / 1000} s`);
    case 'slow':
      if (duties.length === 0)
        return ok(`statistics are older than ${MEASURE_MS / 1000} s, and no duty needs newer ones`);
      return warning(`statistics are older than ${MEASURE_MS / 1000} s (${duties.join('; ')})`, REMEDIES.slow);
    case 'off':
      return warning(`there are no statistics (${duties.join('; ')})`, REMEDIES.off);
    case 'unknown':
      return failed('the age of the statistics is unknown', 'Run "pulse-agent verify" again.');
  }
}
