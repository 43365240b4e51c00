import { createQueueDepths } from '../broker/amqp/queue-depths.ts';
import { ensureBackstop } from '../broker/backstop.ts';
import type { AgentContext } from '../context.ts';
import { createAlerts } from './alerts.ts';
import { createConfirmDepth } from './confirm-depth.ts';
import { createDeleteQueue } from './delete-queue.ts';
import { createGrowth } from './growth.ts';
import { createInspect, type Inspect } from './inspect-queue.ts';
import { createInspectionSchedule } from './inspection-schedule.ts';
import { createProcessQueues } from './process-queues.ts';
import { createQueueNotices } from './queue-notices.ts';
import { createRemoveQueue } from './remove-queue.ts';
import { createSurvey, type Survey } from './survey-queues.ts';

/** What {@link createQueues} takes. */
export type QueuesContext = Pick<
  AgentContext,
  'config' | 'store' | 'management' | 'clock' | 'sleep' | 'randomBytes' | 'log' | 'jobs' | 'reporters'
>;

/** The watching of queues: surveys, inspections, warnings, deletions and the backstop. */
export interface Queues {
  readonly survey: Survey;
  readonly inspect: Inspect;
  /** Inspects a queue soon in this agent, because it is new or has lost a consumer. */
  inspectSoon(queue: string, isNew: boolean): void;
  /** Forgets what is known of a queue that was deleted. */
  forget(queue: string): void;
  /** Applies the backstop policy as configured. A failure is logged: an agent works without it. */
  applyBackstop(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** A queue that is new or has lost a consumer is inspected this much later, in ms: other events may follow. */
const INSPECT_SOON_MS = 1_000;

/** Assembles the watching of queues. */
export function createQueues(context: QueuesContext): Queues {
  const { config, store, management, clock, log, reporters } = context;
  const { id, vhost, namespacePrefix, exemptQueues, warnAtMessages, deleteAtMessages } = config;
  const limits = { warnAtMessages, deleteAtMessages };
  const longestPauseMs = config.surveyIntervalSeconds * 1000;

  const readyCounts = createQueueDepths({ amqpUrl: config.rabbitmqUrl, ca: config.rabbitmqCa, id });
  const schedule = createInspectionSchedule({
    clock,
    look: (queues, signal) => inspect(queues, signal),
    onFault: (error) =>
      log.warn({ code: 'inspection_failed', err: error }, 'could not inspect queues; the next survey does it'),
  });
  const onGrowing = (queue: string, lookAfterMs: number): void => schedule.ask(queue, lookAfterMs);
  const growth = createGrowth({ limits, horizonMs: longestPauseMs });
  const notices = createQueueNotices({ store: store.notices, limits });
  const deletion = createDeleteQueue({
    store,
    notices,
    removeQueue: createRemoveQueue(context),
    lastLook: createConfirmDepth({ management, readyCounts, clock, vhost }),
    readyCounts,
    clock,
    limits,
    isSameSince: (queue, sinceMs) => schedule.isSameSince(queue, sinceMs),
    reporters,
  });
  const alerts = createAlerts({ ...context, notices, deletion, limits });
  const judge = createProcessQueues({
    namespaces: store.namespaces,
    alerts,
    clock,
    limits,
    namespacePrefix,
    exemptQueues,
    reporters,
  });
  const inspect = createInspect({
    management,
    vhost,
    readyCounts,
    store: store.queueAlerts,
    judge,
    growth,
    clock,
    limits,
    onGrowing,
  });
  const survey = createSurvey({
    management,
    store: store.queueAlerts,
    judge,
    growth,
    clock,
    vhost,
    namespacePrefix,
    limits,
    longestPauseMs,
    onGrowing,
  });
  return {
    inspect,
    async survey(signal) {
      const surveyed = await survey(signal);
      log.debug({ code: 'survey_done', ...surveyed }, 'survey done');
      return surveyed;
    },
    inspectSoon(queue, isNew) {
      if (isNew) schedule.renewed(queue);
      schedule.ask(queue, INSPECT_SOON_MS);
    },
    forget(queue) {
      schedule.renewed(queue);
      schedule.drop(queue);
      growth.forget(queue);
    },
    async applyBackstop(signal) {
      const maxMessages = config.queueBackstopMessages;
      const exempt = exemptQueues.map(({ source }) => source);
      const settings = { id, vhost, namespacePrefix, maxMessages, exemptQueues: exempt };
      try {
        const change = await ensureBackstop(management, settings, signal === undefined ? {} : { signal });
        if (change === 'none') return;
        log.info({ code: 'backstop_changed', change, maxMessages }, 'changed the queue backstop policy');
      } catch (error) {
        signal?.throwIfAborted();
        log.error(
          { code: 'backstop_not_applied', err: error },
          'failed to apply the queue backstop policy; queues are unbounded while no agent runs',
        );
      }
    },
    async close() {
      await schedule.stop();
      await readyCounts.close();
    },
  };
}
