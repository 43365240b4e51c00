import { createExemptQueues } from '../../src/namespaces/deletion/exempt-queues.ts';
import { randomBytes } from 'node:crypto';
import { UNGUARDED } from '../../src/broker/cluster.ts';
import type { CountedBytes, ListedQueue, ManagementCallOptions } from '../../src/broker/management/management.ts';
import { createApplyAlertAction } from '../../src/queues/apply-alert-action.ts';
import { type ByteCounts, createByteCounts } from '../../src/queues/byte-counts.ts';
import { createGrowthTracker, type GrowthTracker, messageGrowthLimits } from '../../src/queues/growth-tracker.ts';
import { createIdleQueues } from '../../src/queues/idle-queues.ts';
import { createConfirmRecovery } from '../../src/queues/confirm-recovery.ts';
import { limitsOfQueue } from '../../src/queues/queue-limits.ts';
import { completeRule } from '../../src/config/queue-rules.ts';
import { createProcessQueues, type ProcessQueues } from '../../src/queues/process-queues.ts';
import { createQueueDeletion, type QueueDeletionParts } from '../../src/queues/queue-deletion.ts';
import { createQueueHistory, type QueueHistory } from '../../src/queues/queue-history.ts';
import { createQueueNotices, type QueueNotices } from '../../src/queues/queue-notices.ts';
import { createSurveyQueues, type SurveyQueues } from '../../src/queues/survey-queues.ts';
import type { Store } from '../../src/store/store.ts';
import { momentOf } from '../../src/util/clock.ts';
import { readNamePattern } from '../../src/util/name-pattern.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';

const NO_BACKSTOP = { queueBackstopMessages: null, queueBackstopBytes: null };

/** The configuration of a {@link QueueRoom}. */
export const QUEUE_CONFIG = {
  vhost: '/',
  namespacePrefix: 'taskcluster-',
  warnAtMessages: 4000,
  deleteAtMessages: 8000,
  surveyIntervalSeconds: 60,
  warnAtBytes: 1_000_000,
  deleteAtBytes: 2_000_000,
  queues: [],
};

/** The limits of every queue of a {@link QueueRoom}. */
export const QUEUE_LIMITS = limitsOfQueue(QUEUE_CONFIG, 'queue/taskcluster-x/jobs');

/** The watching of queues over a store and a broker that is a list of queues. */
export interface QueueRoom {
  readonly clock: ManualClock;
  /** The broker: its queues, and the number of messages in each. */
  readonly depths: Map<string, number>;
  /** What a listing shows of a queue instead, where it lags behind. */
  readonly listed: Map<string, number>;
  /** The statistics of the broker: the sizes of its queues. */
  readonly sizes: Map<string, CountedBytes>;
  /** How many consumers its queues have; 0 for all others. */
  readonly consumers: Map<string, number>;
  /** Queues that have crashed: they exist, and no listing has their depth. */
  readonly crashed: Set<string>;
  readonly notices: QueueNotices;
  readonly growth: GrowthTracker;
  readonly byteCounts: ByteCounts;
  readonly history: QueueHistory;
  readonly processQueues: ProcessQueues;
  readonly survey: SurveyQueues;
  /** `warned <queue>`, `recovered <queue>` or `deleted <queue>` for each report. */
  readonly reported: string[];
  /** The errors of queues that were not processed. */
  readonly errors: unknown[];
}

/** How a room differs from the ordinary one. */
export interface QueueRoomOptions {
  readonly clock?: ManualClock;
  readonly exemptQueues?: readonly string[];
  /** Whether the statistics show all queues with their consumers. */
  readonly showsUse?: boolean;
  readonly rules?: readonly Parameters<typeof completeRule>[0][];
  /** Runs right before a queue is deleted. */
  readonly beforeDelete?: () => Promise<void>;
  readonly deletion?: Partial<QueueDeletionParts>;
  /** Runs between a listing and its return. */
  readonly afterListing?: () => Promise<void>;
}

/** Makes a room without queues. */
export function createQueueRoom(store: Store, options: QueueRoomOptions = {}): QueueRoom {
  const clock = options.clock ?? createManualClock();
  const depths = new Map<string, number>();
  const listed = new Map<string, number>();
  const sizes = new Map<string, CountedBytes>();
  const consumers = new Map<string, number>();
  const crashed = new Set<string>();
  const reported: string[] = [];
  const errors: unknown[] = [];
  const visitAll = async (_vhost: string, visit: (queue: ListedQueue) => void): Promise<void> => {
    for (const [name, messages] of depths) visit({ name, messages: listed.get(name) ?? messages });
    await options.afterListing?.();
  };
  const useOf = ([name, messages]: readonly [string, number]): CountedBytes => ({
    name,
    messages,
    bytes: 0,
    consumers: consumers.get(name) ?? 0,
  });
  const context = {
    clock,
    randomBytes,
    store,
    config: {
      ...QUEUE_CONFIG,
      queues: (options.rules ?? []).map((rule) => completeRule(rule, { ...QUEUE_CONFIG, ...NO_BACKSTOP })),
      exemptQueues: (options.exemptQueues ?? []).map(readNamePattern),
      reservedNamespaces: [readNamePattern('taskcluster-reserved')],
    },
    jobs: { trigger: () => undefined },
    reporters: {
      queueWarned: async ({ queue }: { queue: string }) => void reported.push(`warned ${queue}`),
      queueRecovered: async ({ queue }: { queue: string }) => void reported.push(`recovered ${queue}`),
      queueIdle: async ({ queue }: { queue: string }) => void reported.push(`idle ${queue}`),
      queueExpired: async ({ queue }: { queue: string }) => void reported.push(`expired ${queue}`),
      queueLeft: async ({ queue }: { queue: string }) => void reported.push(`left ${queue}`),
      queuePurged: async ({ queue, messages }: { queue: string; messages: number }) =>
        void reported.push(`purged ${queue} of ${messages}`),
      queueDeleted: async ({ queue }: { queue: string }) => void reported.push(`deleted ${queue}`),
      queueNotProcessed: (_queue: string, error: unknown) => void errors.push(error),
    },
    management: {
      visitQueues: visitAll,
      visitQueueDepths: visitAll,
      async purgeQueue(_vhost: string, name: string, call?: ManagementCallOptions) {
        await options.beforeDelete?.();
        call?.beforeSend?.();
        const isThere = depths.has(name);
        if (isThere) depths.set(name, 0);
        return isThere;
      },
      getOldestMessageMs: async () => undefined,
      listQueueNames: async () => [...depths.keys(), ...crashed],
      listQueueBytes: async () => (options.showsUse === true ? [...depths].map(useOf) : [...sizes.values()]),
      getQueueBytes: async (_vhost: string, name: string) => sizes.get(name),
      getQueue: async (_vhost: string, name: string) => (depths.has(name) ? { name, type: 'quorum' } : undefined),
    },
    schedule: { add: () => undefined, wasReplacedSince: () => false },
  };
  const queueDepths = {
    read: async (queues: readonly string[]) => new Map([...depths].filter(([queue]) => queues.includes(queue))),
    readCounts: async (queues: readonly string[]) =>
      new Map(
        [...depths]
          .filter(([queue]) => queues.includes(queue))
          .map(([queue, messages]) => [queue, { messages, consumers: consumers.get(queue) ?? 0 }] as const),
      ),
  };
  const notices = createQueueNotices({
    ...context,
    growthOf: (queue) => ({ messages: growth.growthOf(queue), bytes: byteCounts.growthOf(queue) }),
  });
  const exempt = createExemptQueues(store.queueExemptions, { earliestMs: () => clock.nowMs() });
  const deletion = createQueueDeletion({
    ...context,
    notices,
    async confirmDepth({ queue }) {
      const messages = depths.get(queue);
      return messages === undefined
        ? { is: 'missing' }
        : {
            is: 'present',
            messages,
            isTooDeep: messages >= QUEUE_CONFIG.deleteAtMessages,
            enoughReady: QUEUE_CONFIG.deleteAtMessages,
            seenAt: momentOf(clock),
          };
    },
    queueDepths,
    exempt,
    async deleteFromBroker(_namespace: string, queue: string, call: ManagementCallOptions) {
      await options.beforeDelete?.();
      call.beforeSend?.();
      return depths.delete(queue);
    },
    ...options.deletion,
  });
  const confirmRecovery = createConfirmRecovery({ ...context, queueDepths });
  const applyAlertAction = createApplyAlertAction({
    ...context,
    cluster: UNGUARDED,
    exempt,
    notices,
    deletion,
    confirmRecovery,
  });
  const processQueues = createProcessQueues({ ...context, applyAlertAction });
  const growth = createGrowthTracker({
    limitsOf: (queue) => messageGrowthLimits(limitsOfQueue(context.config, queue)),
    horizonMs: 60_000,
  });
  const byteCounts = createByteCounts({
    ...context,
    limitsOf: (queue) => limitsOfQueue(context.config, queue),
    statistics: { lagMs: () => 8_000 },
    log: { warn: () => undefined },
  });
  const idle = createIdleQueues({ ...context, log: { warn: () => undefined } });
  const history = createQueueHistory(clock);
  const survey = createSurveyQueues({ ...context, idle, processQueues, growth, byteCounts, history });
  return {
    clock,
    depths,
    listed,
    sizes,
    consumers,
    crashed,
    notices,
    growth,
    byteCounts,
    history,
    processQueues,
    survey,
    reported,
    errors,
  };
}
