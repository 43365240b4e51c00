import type { CountedBytes, Management } from '../broker/management/management.ts';
import type { StatisticsWatch } from '../broker/statistics-watch.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { currentCount } from './current-count.ts';
import type { ObservedBytes } from './decide-alert.ts';
import type { Growth } from './forecast-queue.ts';
import { createGrowthTracker } from './growth-tracker.ts';
import type { InspectionSchedule } from './inspection-schedule.ts';
import type { GrowthLimits } from './predict-growth.ts';
import { lowestWarning, type QueueLimits, type QueueLimitsConfig } from './queue-limits.ts';
import { namespaceOfQueue } from './queue-names.ts';
import { surveyPauseMs } from './survey-pause.ts';

interface ByteCountsParts {
  readonly management: Pick<Management, 'listQueueBytes' | 'getQueueBytes'>;
  readonly schedule: Pick<InspectionSchedule, 'add'>;
  readonly config: QueueLimitsConfig & Pick<Config, 'vhost' | 'surveyIntervalSeconds'>;
  /** For the prediction of growth. */
  readonly limitsOf: (queue: string) => QueueLimits;
  /** How old sizes may be. */
  readonly statistics: Pick<StatisticsWatch, 'lagMs'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
}

/**
 * The sizes of large queues, in the memory of this agent. RabbitMQ has them only in its statistics, which cost two to four
 * times as much as the depths and are seconds old, so they are listed less often and decide nothing alone: a size counts
 * for a queue only while it holds at least as many messages as were counted with it.
 */
export interface ByteCounts {
  /**
   * Lists the sizes if that is due, and schedules the inspection of queues that grow. A failure is logged, and the sizes are
   * unknown.
   *
   * @param alerts the queues whose size is remembered even if they are small
   */
  refresh(alerts: { has(queue: string): boolean }, signal: AbortSignal): Promise<void>;
  /**
   * Counts those of these queues that grow in bytes, or are large.
   *
   * @throws AgentError `BrokerUnavailable`; the signal's reason
   */
  inspect(queues: readonly string[], signal: AbortSignal): Promise<void>;
  /** The size of a queue that holds this many messages; undefined: unknown, which is not 0. */
  sizeOf(queue: string, messages: number | undefined): ObservedBytes | undefined;
  /** How a queue grows in bytes; undefined where nothing is known of it. */
  growthOf(queue: string): Growth | undefined;
  /** Forgets a queue that was created or deleted. */
  forget(queue: string): void;
}

/** RabbitMQ collects statistics every 5 s. */
const MIN_PAUSE_MS = 5_000;

/** A growing queue is counted again after this, in ms: the next statistics are there by then. */
const FIRST_INSPECTION_MS = 6_000;

/** No queue is counted again sooner, in ms. */
const MIN_INSPECTION_PAUSE_MS = 1_000;

/** Smaller differences are noise, and smaller queues are not tracked, in bytes. */
const NOISE = 2 ** 20;

/** The ordinary step by which a queue grows, in bytes. */
const STEP = 2 ** 16;

/** The number of listings without any size after which sizes are reported as unknown. */
const EMPTY_LISTINGS = 3;

const NO_BYTES: ByteCounts = {
  refresh: async () => undefined,
  inspect: async () => undefined,
  sizeOf: () => undefined,
  growthOf: () => undefined,
  forget: () => undefined,
};

/** Counts nothing where bytes are not watched. */
export function createByteCounts(parts: ByteCountsParts): ByteCounts {
  const { management, schedule, statistics, clock, log } = parts;
  const { vhost, namespacePrefix, surveyIntervalSeconds } = parts.config;
  const { warnAtBytes: lowest } = lowestWarning(parts.config);
  if (lowest === null) return NO_BYTES;
  const maxPauseMs = Math.max(surveyIntervalSeconds * 1000, MIN_PAUSE_MS);
  const growth = createGrowthTracker({
    limitsOf: (queue) => byteGrowthLimits(parts.limitsOf(queue)),
    horizonMs: maxPauseMs,
  });
  let sizes = new Map<string, Omit<CountedBytes, 'name'> & ObservedBytes>();
  const growing = new Set<string>();
  let dueMs = -Infinity;
  let emptyListings = 0;

  const inspectLater = (queue: string, afterMs: number): void => {
    growing.add(queue);
    schedule.add(queue, Math.max(afterMs, MIN_INSPECTION_PAUSE_MS));
  };

  const list = async (alerts: { has(queue: string): boolean }, signal: AbortSignal): Promise<void> => {
    const seenMs = clock.nowMs();
    const lagMs = statistics.lagMs();
    const listed = await management.listQueueBytes(vhost, { signal });
    reportUnknown(listed);
    const next: typeof sizes = new Map();
    const amounts: [string, number][] = [];
    for (const { name, bytes, messages } of listed) {
      if (namespaceOfQueue(namespacePrefix, name) === undefined) continue;
      const known = sizes.get(name);
      // It was counted alone during the listing.
      if (known !== undefined && known.seenMs > seenMs) next.set(name, known);
      else if (bytes >= lowest / 2 || alerts.has(name)) next.set(name, { bytes, messages, seenMs, lagMs });
      if (bytes >= NOISE) amounts.push([name, bytes]);
    }
    sizes = next;
    growing.clear();
    for (const [queue, afterMs] of growth.recordSurvey(amounts, seenMs)) inspectLater(queue, afterMs);
  };

  /** The agent's own queues are always there; after a start of RabbitMQ their statistics come some seconds later. */
  const reportUnknown = (listed: readonly CountedBytes[]): void => {
    emptyListings = listed.length === 0 ? emptyListings + 1 : 0;
    if (emptyListings !== EMPTY_LISTINGS) return;
    log.warn(
      { code: 'queue_bytes_unknown' },
      'RabbitMQ has no statistics with the sizes of queues; only their messages are watched',
    );
  };

  return {
    async refresh(alerts, signal) {
      const startedMs = clock.monotonicMs();
      if (startedMs < dueMs) return;
      try {
        await list(alerts, signal);
      } catch (error) {
        signal.throwIfAborted();
        sizes.clear();
        log.warn(
          { code: 'queue_bytes_not_listed', err: error },
          'could not list the sizes of queues; only their messages are watched until it succeeds',
        );
      }
      const tookMs = clock.monotonicMs() - startedMs;
      dueMs = startedMs + Math.max(surveyPauseMs(tookMs, maxPauseMs), MIN_PAUSE_MS);
    },
    async inspect(queues, signal) {
      for (const queue of queues) {
        const isLarge = (sizes.get(queue)?.bytes ?? 0) >= lowest;
        if (!growing.delete(queue) && !isLarge) continue;
        const seenMs = clock.nowMs();
        const counted = await management.getQueueBytes(vhost, queue, { signal });
        if (counted === undefined) {
          sizes.delete(queue);
          continue;
        }
        const lagMs = statistics.lagMs();
        sizes.set(queue, { bytes: counted.bytes, messages: counted.messages, seenMs, lagMs });
        const afterMs = growth.recordInspection(queue, counted.bytes, seenMs);
        if (afterMs !== undefined) inspectLater(queue, afterMs);
      }
    },
    sizeOf(queue, messages) {
      const size = currentCount(sizes.get(queue), messages);
      return size === undefined ? undefined : { bytes: size.bytes, seenMs: size.seenMs, lagMs: size.lagMs };
    },
    growthOf: (queue) => growth.growthOf(queue),
    forget(queue) {
      sizes.delete(queue);
      growing.delete(queue);
      growth.forget(queue);
    },
  };
}

/** Where the bytes of a queue are not watched, it has no threshold. */
function byteGrowthLimits({ warnAtBytes, deleteAtBytes }: QueueLimits): GrowthLimits {
  const noise = Math.min(NOISE, warnAtBytes ?? NOISE);
  const thresholds = warnAtBytes === null || deleteAtBytes === null ? [] : [warnAtBytes, deleteAtBytes];
  return { thresholds, noise, step: STEP, firstInspectionMs: FIRST_INSPECTION_MS };
}
