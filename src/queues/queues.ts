import { createQueueDepths } from '../broker/amqp/queue-depths.ts';
import { backstopSettings, ensureBackstop } from '../broker/backstop.ts';
import type { StatisticsWatch } from '../broker/statistics-watch.ts';
import type { AgentContext } from '../context.ts';
import type { ExemptQueues } from '../namespaces/deletion/exempt-queues.ts';
import { createApplyAlertAction } from './apply-alert-action.ts';
import { createConfirmDepth } from './confirm-depth.ts';
import { createConfirmRecovery } from './confirm-recovery.ts';
import { LISTING_LAG_MS } from './decide-alert.ts';
import { createDeleteFromBroker } from './delete-from-broker.ts';
import { createByteCounts } from './byte-counts.ts';
import { createGrowthTracker, messageGrowthLimits } from './growth-tracker.ts';
import { createIdleQueues } from './idle-queues.ts';
import { createInspectQueues, type InspectQueues } from './inspect-queues.ts';
import { createInspectionSchedule } from './inspection-schedule.ts';
import { createObserveNamespace, type ObserveNamespace } from './observe-namespace.ts';
import { createProcessQueues } from './process-queues.ts';
import { createQueueDeletion } from './queue-deletion.ts';
import { createQueueHistory } from './queue-history.ts';
import { createRaisedLimits } from './raised-limits.ts';
import { namespaceOfQueue } from './queue-names.ts';
import { createQueueNotices } from './queue-notices.ts';
import { createSurveyQueues, type DepthObserver, type SurveyQueues } from './survey-queues.ts';

/** What {@link createQueues} takes. */
export type QueuesContext = Pick<
  AgentContext,
  'config' | 'store' | 'management' | 'cluster' | 'clock' | 'sleep' | 'randomBytes' | 'log' | 'jobs' | 'reporters'
> &
  Partial<Pick<AgentContext, 'addressChoice'>> & {
    readonly statistics: Pick<StatisticsWatch, 'lagMs'>;
    readonly exempt: ExemptQueues;
    /** Takes what surveys list. */
    readonly depths?: DepthObserver | undefined;
  };

/** The watching of queues: surveys, inspections, alerts and the backstop. */
export interface Queues {
  readonly survey: SurveyQueues;
  readonly inspect: InspectQueues;
  /** Schedules the inspection of a queue that is new or has lost a consumer. */
  inspectSoon(queue: string, isNew: boolean): void;
  readonly observeNamespace: ObserveNamespace;
  /** Forgets what is known of a queue that was deleted. */
  forget(queue: string): void;
  /** Applies the backstop policy as configured. A failure is logged: the agent works without it. */
  applyBackstop(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** A queue that is new or has lost a consumer is inspected after this, in ms, at the earliest: more events may follow. */
const INSPECT_SOON_MS = 1_000;

/** Wires the parts that watch queues. */
export function createQueues(context: QueuesContext): Queues {
  const { config, addressChoice, management, log } = context;

  const { rabbitmqUrl: amqpUrl, rabbitmqCa: ca, id } = config;
  const queueDepths = createQueueDepths({ amqpUrl, addressChoice, ca, id });
  const schedule = createInspectionSchedule({
    ...context,
    inspect: (queues, signal) => inspect(queues, signal),
    onError: (error) =>
      log.warn({ code: 'inspection_failed', err: error }, 'could not inspect queues; the next survey does it'),
  });
  const raised = createRaisedLimits(config);
  const idle = createIdleQueues(context);
  const growth = createGrowthTracker({
    limitsOf: (queue) => messageGrowthLimits(raised.of(queue)),
    horizonMs: config.surveyIntervalSeconds * 1000,
    surveyLagMs: LISTING_LAG_MS,
  });
  const byteCounts = createByteCounts({ ...context, limitsOf: raised.of, schedule });
  const history = createQueueHistory(context.clock);
  const forgetHistory = (queue: string): void => {
    context.depths?.forget(queue);
    const namespace = namespaceOfQueue(config.namespacePrefix, queue);
    if (namespace !== undefined) history.forget(namespace, queue);
  };
  const notices = createQueueNotices({
    ...context,
    growthOf: (queue) => ({ messages: growth.growthOf(queue), bytes: byteCounts.growthOf(queue) }),
  });
  const confirmDepth = createConfirmDepth({ ...context, queueDepths });
  const deleteFromBroker = createDeleteFromBroker(context);
  const deletion = createQueueDeletion({
    ...context,
    notices,
    confirmDepth,
    queueDepths,
    deleteFromBroker,
    schedule,
  });
  const confirmRecovery = createConfirmRecovery({ ...context, queueDepths });
  const applyAlertAction = createApplyAlertAction({ ...context, notices, deletion, confirmRecovery });
  const processQueues = createProcessQueues({ ...context, onRecord: raised.remember, applyAlertAction });
  const inspect = createInspectQueues({ ...context, queueDepths, processQueues, growth, byteCounts, schedule });
  const survey = createSurveyQueues({ ...context, processQueues, growth, byteCounts, idle, schedule, history });

  return {
    inspect,
    observeNamespace: createObserveNamespace({ ...context, history }),
    async survey(signal) {
      const result = await survey(signal);
      log.debug({ code: 'survey_done', ...result }, 'survey done');
      return result;
    },
    inspectSoon(queue, isNew) {
      if (isNew) {
        schedule.recordReplacement(queue);
        byteCounts.forget(queue);
        forgetHistory(queue);
      }
      idle.forget(queue);
      schedule.addToBatch(queue, INSPECT_SOON_MS);
    },
    forget(queue) {
      schedule.recordReplacement(queue);
      schedule.cancel(queue);
      growth.forget(queue);
      byteCounts.forget(queue);
      idle.forget(queue);
      forgetHistory(queue);
    },
    async applyBackstop(signal) {
      const settings = backstopSettings(config);
      const { maxMessages, maxBytes, streamMaxBytes } = settings;
      try {
        const change = await ensureBackstop(management, settings, signal === undefined ? {} : { signal });
        if (change === 'none') return;
        log.info(
          { code: 'backstop_changed', change, maxMessages, maxBytes, streamMaxBytes },
          'changed the policies of the queue backstop',
        );
      } catch (error) {
        signal?.throwIfAborted();
        log.error(
          { code: 'backstop_not_applied', err: error },
          'failed to apply the queue backstop; queues are unbounded while no agent runs, and streams always',
        );
      }
    },
    async close() {
      await schedule.stop();
      await queueDepths.close();
    },
  };
}
