import type { Clock, Sleep } from '../util/clock.ts';
import type { Management } from './management/management.ts';

/**
 * What is known of RabbitMQ's statistics: sizes of queues, owners of exclusive queues, ages of connections.
 * - `unknown`: they were not measured yet, or could not be.
 * - `off`: it collects or shows none (`management_agent.disable_metrics_collector`, `management.disable_stats`).
 * - `slow`: it collects them less often than every {@link MEASURE_MS} (`collect_statistics_interval`).
 * - `on`: it collects them at this interval.
 */
export type StatisticsState =
  | { readonly is: 'unknown' | 'off' | 'slow' }
  | { readonly is: 'on'; readonly intervalMs: number };

/** What an agent does with statistics. Everything else works without. */
export type StatisticsDuty = 'connection-age' | 'exclusive-queues' | 'queue-bytes';

/** The calls that {@link measureStatistics} makes. */
export type StatisticsCalls = Pick<Management, 'overview' | 'listUptimes'>;

/** How long to wait for new statistics, in ms. RabbitMQ's own interval is 5 s. */
export const MEASURE_MS = 12_000;

const SAMPLE_EVERY_MS = 1_000;

/** Between two samples further apart, in ms, the statistics may have been collected twice. */
const MAX_SAMPLE_PAUSE_MS = 3_000;

/** A listing of statistics may be cached by the management API for so long, in ms. */
const CACHE_MS = 3_000;

/**
 * Measures the interval at which the nodes collect statistics, as RabbitMQ shows it nowhere: a node's uptime is one of them,
 * and grows by the interval.
 *
 * @throws AgentError `BrokerUnavailable`; the signal's reason
 */
export async function measureStatistics(
  management: StatisticsCalls,
  { clock, sleep }: { readonly clock: Clock; readonly sleep: Sleep },
  signal: AbortSignal,
): Promise<StatisticsState> {
  const { areStatisticsOff } = await management.overview({ signal });
  if (areStatisticsOff) return { is: 'off' };
  const startedMs = clock.monotonicMs();
  const latest = new Map<string, { readonly uptimeMs: number; readonly readMs: number }>();
  const intervals = new Map<string, number>();
  let lastReadFrom: string | undefined;
  for (;;) {
    const readMs = clock.monotonicMs();
    const uptimes = await management.listUptimes({ signal });
    const [{ readFrom } = {}] = uptimes;
    if (readFrom !== lastReadFrom) latest.clear();
    lastReadFrom = readFrom;
    for (const { node, uptimeMs } of uptimes) {
      if (uptimeMs === undefined) continue;
      const before = latest.get(node);
      const isClose = before !== undefined && readMs - before.readMs < MAX_SAMPLE_PAUSE_MS;
      if (isClose && uptimeMs > before.uptimeMs) intervals.set(node, uptimeMs - before.uptimeMs);
      latest.set(node, { uptimeMs, readMs });
    }
    if (uptimes.length > 0 && uptimes.every(({ node }) => intervals.has(node))) {
      const intervalMs = Math.max(...intervals.values());
      return intervalMs > MEASURE_MS ? { is: 'slow' } : { is: 'on', intervalMs };
    }
    if (readMs - startedMs >= MEASURE_MS) return { is: latest.size < uptimes.length ? 'off' : 'slow' };
    await sleep(SAMPLE_EVERY_MS, signal);
  }
}

/** How far statistics may lag behind, in ms; infinite where that is not known. */
export function statisticsLagMs(state: StatisticsState): number {
  return state.is === 'on' ? state.intervalMs + CACHE_MS : Infinity;
}

/**
 * The duties that an agent cannot do with these statistics, or not fully, with what follows, as clauses.
 *
 * @param watchesBytes whether thresholds in bytes are set
 */
export function unmetDuties(state: StatisticsState, watchesBytes: boolean): ReadonlyMap<StatisticsDuty, string> {
  const unmet = new Map<StatisticsDuty, string>();
  if (state.is === 'off') {
    if (watchesBytes)
      unmet.set('queue-bytes', 'the sizes of queues are unknown, so thresholds in bytes have no effect');
    unmet.set('exclusive-queues', 'exclusive queues that grow too large are warned of and not deleted');
    unmet.set('connection-age', 'the age of a connection counts from when a running agent first saw it');
  }
  if (state.is === 'slow' && watchesBytes) {
    unmet.set('queue-bytes', 'the sizes of queues are old, so no queue is deleted by its bytes');
  }
  return unmet;
}
