import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { limitsOfQueue, type QueueLimitsConfig } from './queue-limits.ts';
import { surveyPauseMs } from './survey-pause.ts';

interface IdleQueuesParts {
  readonly management: Pick<Management, 'listQueueBytes'>;
  readonly config: QueueLimitsConfig & Pick<Config, 'vhost' | 'surveyIntervalSeconds'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
}

/** What this agent has seen of the use of a queue. */
interface QueueUse {
  /** Since when no consumer was seen and the messages are the same, in ms since the epoch; undefined: in use. */
  readonly idleSinceMs: number | undefined;
  readonly hasConsumers: boolean;
}

/** Which queues are unused, in the memory of this agent: only those whose rule lets them expire. */
export interface IdleQueues {
  /** Lists the queues if that is due. After a failure nothing is known. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Undefined: unknown, or its rule does not let it expire. */
  of(queue: string): QueueUse | undefined;
  /** Forgets a queue that was created or deleted, or has lost a consumer. */
  forget(queue: string): void;
}

/** RabbitMQ collects statistics, which have the consumers, every 5 s. */
const MIN_PAUSE_MS = 5_000;

/** What was seen longer ago than this many pauses says nothing of the time since. */
const MAX_GAP_PAUSES = 10;

const NO_IDLE_QUEUES: IdleQueues = { refresh: async () => undefined, of: () => undefined, forget: () => undefined };

interface Seen extends QueueUse {
  readonly messages: number;
  readonly sinceMonotonicMs: number;
}

/** Lists nothing where no rule lets queues expire. */
export function createIdleQueues({ management, config, clock, log }: IdleQueuesParts): IdleQueues {
  if (config.queues.every(({ idleExpirySeconds }) => idleExpirySeconds === null)) return NO_IDLE_QUEUES;
  const maxPauseMs = Math.max(config.surveyIntervalSeconds * 1000, MIN_PAUSE_MS);
  let seen = new Map<string, Seen>();
  let listedMs = -Infinity;
  let dueMs = -Infinity;

  const list = async (startedMs: number, signal: AbortSignal): Promise<void> => {
    const nowMs = clock.nowMs();
    const listed = await management.listQueueBytes(config.vhost, { signal });
    // Another agent made the listings meanwhile: what happened then is not known here.
    if (startedMs - listedMs > MAX_GAP_PAUSES * maxPauseMs) seen.clear();
    const next: typeof seen = new Map();
    for (const { name, messages, consumers, isExclusive } of listed) {
      // An exclusive queue ends with its connection, and no other one may delete it.
      if (consumers === undefined || isExclusive || limitsOfQueue(config, name).idleExpiryMs === null) continue;
      const before = seen.get(name);
      const hasConsumers = consumers > 0;
      const isIdleStill = !hasConsumers && before?.hasConsumers === false && before.messages === messages;
      const sinceMonotonicMs = isIdleStill ? before.sinceMonotonicMs : startedMs;
      // By the monotonic clock: the wall clock may be set meanwhile.
      const idleSinceMs = hasConsumers ? undefined : nowMs - (startedMs - sinceMonotonicMs);
      next.set(name, { messages, hasConsumers, sinceMonotonicMs, idleSinceMs });
    }
    seen = next;
    listedMs = startedMs;
  };

  return {
    async refresh(signal) {
      const startedMs = clock.monotonicMs();
      if (startedMs < dueMs) return;
      try {
        await list(startedMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        seen.clear();
        log.warn({ code: 'queue_use_not_listed', err: error }, 'could not list which queues are used; none expires');
      }
      dueMs = startedMs + Math.max(surveyPauseMs(clock.monotonicMs() - startedMs, maxPauseMs), MIN_PAUSE_MS);
    },
    of: (queue) => seen.get(queue),
    forget: (queue) => void seen.delete(queue),
  };
}
