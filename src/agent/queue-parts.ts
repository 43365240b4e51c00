import { ensureBackstop } from '../broker/backstop.ts';
import { createQueueDepths } from '../broker/amqp/queue-depths.ts';
import { systemSleep } from '../util/clock.ts';
import { INSPECT_QUEUE } from '../jobs/inspect-queue-job.ts';
import type { QueueWatch } from '../jobs/broker-event-reactions.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { accountName } from '../namespaces/accounts/account-names.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import { createAlerts } from '../queues/alerts.ts';
import { createDeleteQueue } from '../queues/delete-queue.ts';
import { createGrowth } from '../queues/growth.ts';
import { createInspect, type Inspect } from '../queues/inspect-queue.ts';
import { createProcessQueues } from '../queues/process-queues.ts';
import { createConfirmDepth } from '../queues/confirm-depth.ts';
import { createInspectionSchedule } from '../queues/inspection-schedule.ts';
import { createRemoveQueue } from '../queues/remove-queue.ts';
import { createQueueNotices } from '../notices/queue-notices.ts';
import { createSurvey, type Survey, type Surveyed } from '../queues/survey-queues.ts';
import type { Store } from '../store/store.ts';
import { type NamespacePartsSettings, tellClosed } from './namespace-parts.ts';

/** What watches queues. */
export interface QueueParts {
  /** Looks at all queues. */
  readonly survey: Survey;
  /** Looks at single ones. */
  readonly inspect: Inspect;
  /** Puts the backstop as configured. What it cannot do is in the log, as an agent can do without it. */
  keepBackstop(signal?: AbortSignal): Promise<void>;
  /** Takes what broker events tell of queues. */
  readonly watch: QueueWatch;
  /** What the latest survey of this agent saw; undefined before the first. */
  readonly latestSurvey: Surveyed | undefined;
  close(): Promise<void>;
}

/** A queue that is new or has lost a consumer is looked at so much later, in ms: others may follow. */
const SOON_MS = 1_000;

/** Builds the parts, and has them tell what they do as events and in the log. */
export function createQueueParts(
  {
    config,
    store,
    management,
    clock,
    randomBytes,
    log,
    events,
    audit,
  }: Omit<NamespacePartsSettings, 'random' | 'store' | 'events'> & {
    readonly store: Store;
    readonly events: Pick<AgentEvents, 'emit' | 'emitAndWait'>;
  },
  jobs: Jobs,
): QueueParts {
  const { id, vhost, namespacePrefix, exemptQueues, warnAtMessages, deleteAtMessages } = config;
  const limits = { warnAtMessages, deleteAtMessages };
  const longestPauseMs = config.surveyIntervalSeconds * 1000;
  let latestSurvey: Surveyed | undefined;

  const readyCounts = createQueueDepths({ amqpUrl: config.rabbitmqUrl, ca: config.rabbitmqCa, id });
  const lookOut = createInspectionSchedule({
    clock,
    look: (queues, signal) => inspect(queues, signal),
    onFault: (error) =>
      log.warn({ code: 'inspection_failed', err: error }, 'could not inspect queues; the next survey does it'),
  });
  const onGrowing = (queue: string, lookAfterMs: number): void => lookOut.ask(queue, lookAfterMs);
  const growth = createGrowth({ limits, horizonMs: longestPauseMs });
  const notices = createQueueNotices({ store: store.notices, limits });
  const deletion = createDeleteQueue({
    store,
    notices,
    removeQueue: createRemoveQueue({
      management,
      vhost,
      accountsOf: (namespace) => ([1, 2] as const).map((slot) => accountName(config.usernamePrefix, namespace, slot)),
      onClosed: (closed) => tellClosed({ ...closed, reason: 'overgrown' }, events, audit),
      sleep: systemSleep,
    }),
    lastLook: createConfirmDepth({ management, readyCounts, clock, vhost }),
    readyCounts,
    clock,
    limits,
    isSameSince: (queue, sinceMs) => lookOut.isSameSince(queue, sinceMs),
    onDeleted({ namespace, queue, messages }) {
      const reason = 'it had grown too large';
      audit.record({
        action: 'queue-deletion',
        namespace,
        subject: queue,
        reason,
        details: { messages, deleteAtMessages },
      });
      log.warn({ code: 'queue_deleted', namespace, queue, messages, deleteAtMessages }, 'deleted an overgrown queue');
      return events.emitAndWait('queue.deleted', { namespace, queue, messages, deleteAtMessages });
    },
  });
  const alerts = createAlerts({
    store: store.queueAlerts,
    notices,
    deletion,
    clock,
    randomBytes,
    limits,
    onWarned({ namespace, queue, messages }) {
      log.warn(
        { code: 'queue_warning', namespace, queue, messages, ...limits },
        'a queue has grown past the warning threshold',
      );
      return events.emitAndWait('queue.warning', { namespace, queue, messages, ...limits });
    },
    onRecovered({ namespace, queue, messages }) {
      log.info({ code: 'queue_recovered', namespace, queue, messages }, 'an overgrown queue has recovered');
      return events.emitAndWait('queue.recovered', { namespace, queue, messages });
    },
    lookAgain: (queue, afterMs) => jobs.trigger(INSPECT_QUEUE, queue, afterMs),
  });
  const judge = createProcessQueues({
    namespaces: store.namespaces,
    alerts,
    clock,
    limits,
    namespacePrefix,
    exemptQueues,
    onFault: (queue, error) =>
      log.warn(
        { code: 'queue_not_processed', err: error, queue },
        'failed to process a queue; will retry on the next scan',
      ),
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
  const lookAtAll = createSurvey({
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
    async keepBackstop(signal) {
      const settings = {
        id,
        vhost,
        namespacePrefix,
        maxMessages: config.queueBackstopMessages,
        exemptQueues: exemptQueues.map(({ source }) => source),
      };
      try {
        const change = await ensureBackstop(management, settings, signal === undefined ? {} : { signal });
        if (change !== 'none')
          log.info(
            { code: 'backstop_changed', change, maxMessages: settings.maxMessages },
            'changed the queue backstop policy',
          );
      } catch (error) {
        signal?.throwIfAborted();
        log.error(
          { code: 'backstop_not_applied', err: error },
          'failed to apply the queue backstop policy; queues are unbounded while no agent runs',
        );
      }
    },
    get latestSurvey() {
      return latestSurvey;
    },
    async survey(signal) {
      const surveyed = await lookAtAll(signal);
      latestSurvey = surveyed;
      log.debug({ code: 'survey_done', ...surveyed }, 'survey done');
      return surveyed;
    },
    watch: {
      lookSoon(queue, isNew) {
        if (isNew) lookOut.renewed(queue);
        lookOut.ask(queue, SOON_MS);
      },
      forget(queue) {
        lookOut.renewed(queue);
        lookOut.drop(queue);
        growth.forget(queue);
      },
    },
    async close() {
      await lookOut.stop();
      await readyCounts.close();
    },
  };
}
