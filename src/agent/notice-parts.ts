import type { Clock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../util/log.ts';
import type { Audit } from '../audit/audit.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import { noNotifier, type Notifier } from '../notices/notifier.ts';
import { createTaskclusterMail } from '../notices/taskcluster-notify.ts';
import { createSendNotices, type SendNotices } from '../notices/send-notices.ts';
import type { Notice } from '../store/notice-records.ts';
import type { Store } from '../store/store.ts';

/** What {@link createNoticeParts} works with. */
export interface NoticePartsSettings {
  readonly config: Config;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Pick<AgentEvents, 'emitAndWait'>;
  readonly audit: Pick<Audit, 'record'>;
}

/** Of a notice whose last attempt was never heard of again. */
const NO_ERROR = 'NoAnswer';

/** Builds the sending of notices, and has it tell what it does as events and in the log: never to whom. */
export function createNoticeParts({ config, store, clock, log, events, audit }: NoticePartsSettings): SendNotices {
  return createSendNotices({
    store,
    notifier: notifierOf(config, clock),
    clock,
    mail: { agentId: config.id, surveyIntervalSeconds: config.surveyIntervalSeconds },
    onFailing({ kind, namespace, queue, attempts, lastError }) {
      const error = lastError ?? NO_ERROR;
      return events.emitAndWait('notice.failed', { namespace, queue, notice: kind, attempts, error });
    },
    onOutcome(notice) {
      logOutcome(notice, log);
      if (notice.settledMs !== null) auditOutcome(notice, audit);
    },
  });
}

function notifierOf(config: Config, clock: Clock): Notifier {
  const { taskclusterRootUrl: rootUrl, taskclusterClientId: clientId, taskclusterAccessToken: accessToken } = config;
  if (clientId !== null && accessToken !== undefined) {
    return createTaskclusterMail({ rootUrl, clientId, accessToken, clock });
  }
  return noNotifier;
}

function logOutcome(notice: Notice, log: Log): void {
  const { id, kind, namespace, queue, state, attempts, lastError } = notice;
  const told = { notice: id, kind, namespace, queue, attempts };
  switch (state) {
    case 'sent':
      log.info({ code: 'notice_sent', ...told }, 'sent a notice to an owner');
      break;
    case 'failed':
      log.error(
        { code: 'notice_failed', ...told, error: lastError ?? NO_ERROR },
        'could not deliver a notice; giving up',
      );
      break;
    case 'withdrawn':
      log.info({ code: 'notice_withdrawn', ...told }, 'withdrew a notice that is out of date');
      break;
    case 'waiting':
    case 'held':
      log.warn(
        {
          code: 'notice_delayed',
          ...told,
          error: lastError,
          nextAttempt: new Date(notice.nextAttemptMs).toISOString(),
        },
        'could not send a notice; will retry',
      );
      break;
  }
}

function auditOutcome(notice: Notice, audit: Pick<Audit, 'record'>): void {
  const { id, kind, namespace, queue, state, attempts, lastError } = notice;
  const outcome = state === 'failed' ? `failed: ${lastError}` : state;
  audit.record({
    action: 'notice',
    namespace,
    subject: queue,
    reason: kind,
    outcome,
    details: { notice: id, attempts },
  });
}
