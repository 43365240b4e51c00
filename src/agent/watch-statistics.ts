import { createStatisticsWatch, type StatisticsWatch } from '../broker/statistics-watch.ts';
import { type StatisticsState, unmetDuties } from '../broker/statistics.ts';
import type { AgentContext } from '../context.ts';
import { type QueueLimitsConfig, areBytesWatched } from '../queues/queue-limits.ts';
import type { HealthCheck } from '../observe/health.ts';

/** The statistics of RabbitMQ, with what follows for this agent. */
export interface AgentStatistics extends StatisticsWatch {
  /** `up` where the agent can do all of its duties. */
  check(): HealthCheck;
}

/** Watches the statistics of RabbitMQ, and logs which duties the agent cannot do without them. */
export function createAgentStatistics(
  context: Pick<AgentContext, 'config' | 'management' | 'clock' | 'sleep' | 'log'>,
): AgentStatistics {
  const { config, log } = context;
  let wasMeasured = false;
  const watch = createStatisticsWatch({
    ...context,
    onChange(state) {
      const isFirst = !wasMeasured;
      wasMeasured = true;
      const unmet = unmetOf(state, config);
      if (unmet.size > 0) {
        const consequences = [...unmet.values()].join('; ');
        log.warn(
          { code: 'statistics_missing', statistics: state.is, duties: [...unmet.keys()] },
          `RabbitMQ's statistics are ${state.is}: ${consequences}`,
        );
      } else if (!isFirst && state.is === 'on') {
        log.info(
          { code: 'statistics_available', intervalMs: state.intervalMs },
          "RabbitMQ's statistics are up to date",
        );
      }
    },
    onError: (error) =>
      log.warn({ code: 'statistics_unknown', err: error }, "could not find out how old RabbitMQ's statistics are"),
  });
  return {
    get state() {
      return watch.state;
    },
    lagMs: () => watch.lagMs(),
    start: () => watch.start(),
    close: () => watch.close(),
    check() {
      const { state } = watch;
      if (state.is === 'unknown') {
        return { state: wasMeasured ? 'down' : 'starting', reason: "the age of RabbitMQ's statistics is unknown" };
      }
      const unmet = unmetOf(state, config);
      if (unmet.size === 0) return { state: 'up' };
      return { state: 'down', reason: `RabbitMQ's statistics are ${state.is}: ${[...unmet.values()].join('; ')}` };
    },
  };
}

function unmetOf(state: StatisticsState, config: QueueLimitsConfig) {
  return unmetDuties(state, areBytesWatched(config));
}
