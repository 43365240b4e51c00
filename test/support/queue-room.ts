import { randomBytes } from 'node:crypto';
import type { ManagementCallOptions } from '../../src/broker/management/management.ts';
import { momentOf } from '../../src/util/clock.ts';
import { readNamePattern } from '../../src/util/name-pattern.ts';
import { createAlerts } from '../../src/queues/alerts.ts';
import type { AlertLimits } from '../../src/queues/decide-alert.ts';
import { createDeleteQueue, type DeleteQueueParts } from '../../src/queues/delete-queue.ts';
import { createGrowth, type Growth } from '../../src/queues/growth.ts';
import { createProcessQueues, type ProcessQueues } from '../../src/queues/process-queues.ts';
import { createQueueNotices, type QueueNotices } from '../../src/queues/queue-notices.ts';
import { createSurvey, type Survey } from '../../src/queues/survey-queues.ts';
import type { Store } from '../../src/store/store.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';

/** The thresholds in a {@link QueueRoom}. */
export const LIMITS: AlertLimits = { warnAtMessages: 4000, deleteAtMessages: 8000 };

/** What watches queues, over a store and a broker that is a list of queues. */
export interface QueueRoom {
  readonly clock: ManualClock;
  /** The broker: the queues that there are, and how many messages each has. */
  readonly depths: Map<string, number>;
  readonly notices: QueueNotices;
  readonly growth: Growth;
  readonly judge: ProcessQueues;
  readonly survey: Survey;
  /** What was told, as `warned <queue>`, `recovered <queue>` or `deleted <queue>`. */
  readonly told: string[];
  /** What could not be done about a queue. */
  readonly faults: unknown[];
}

/** What a test may put in the place of the ordinary. */
export interface QueueRoomOptions {
  readonly clock?: ManualClock;
  readonly exemptQueues?: readonly string[];
  /** Runs right before a queue is deleted. */
  readonly beforeDelete?: () => Promise<void>;
  readonly deletion?: Partial<DeleteQueueParts>;
  /** Comes between a listing and whoever asked for it. */
  readonly afterListing?: () => Promise<void>;
}

/** Makes one without queues. */
export function createQueueRoom(store: Store, options: QueueRoomOptions = {}): QueueRoom {
  const clock = options.clock ?? createManualClock();
  const depths = new Map<string, number>();
  const told: string[] = [];
  const faults: unknown[] = [];
  const reporters = {
    queueWarned: async ({ queue }: { queue: string }) => void told.push(`warned ${queue}`),
    queueRecovered: async ({ queue }: { queue: string }) => void told.push(`recovered ${queue}`),
    queueDeleted: async ({ queue }: { queue: string }) => void told.push(`deleted ${queue}`),
    queueNotProcessed: (_queue: string, error: unknown) => void faults.push(error),
  };
  const common = { clock, vhost: '/', limits: LIMITS, reporters };
  const notices = createQueueNotices({ store: store.notices, limits: LIMITS });
  const readyCounts: DeleteQueueParts['readyCounts'] = {
    read: async (queues) => new Map([...depths].filter(([queue]) => queues.includes(queue))),
  };
  const deletion = createDeleteQueue({
    ...common,
    store,
    notices,
    async removeQueue(_namespace: string, queue: string, call: ManagementCallOptions) {
      await options.beforeDelete?.();
      call.beforeSend?.();
      return depths.delete(queue);
    },
    async lastLook(queue) {
      const messages = depths.get(queue);
      return messages === undefined
        ? { is: 'missing' }
        : { is: 'there', messages, isReady: true, seenAt: momentOf(clock) };
    },
    readyCounts,
    isSameSince: () => true,
    ...options.deletion,
  });
  const alerts = createAlerts({
    ...common,
    store,
    notices,
    deletion,
    randomBytes,
    jobs: { trigger: () => undefined },
  });
  const judge = createProcessQueues({
    ...common,
    namespaces: store.namespaces,
    alerts,
    namespacePrefix: 'taskcluster-',
    exemptQueues: (options.exemptQueues ?? []).map(readNamePattern),
  });
  const growth = createGrowth({ limits: LIMITS, horizonMs: 60_000 });
  const survey = createSurvey({
    ...common,
    management: {
      async listQueues() {
        const listed = [...depths].map(([name, messages]) => ({ name, messages }));
        await options.afterListing?.();
        return listed;
      },
    },
    store: store.queueAlerts,
    judge,
    growth,
    namespacePrefix: 'taskcluster-',
    longestPauseMs: 60_000,
    onGrowing: () => undefined,
  });
  return { clock, depths, notices, growth, judge, survey, told, faults };
}
