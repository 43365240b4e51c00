import type { Audit } from '../audit/audit.ts';
import type { EventData } from '../contract/events.ts';
import { formatInstant } from '../contract/fields.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import type { AuditAction } from '../store/audit-records.ts';
import type { QueueExemption } from '../store/queue-exemption-records.ts';
import type { Log } from '../util/log.ts';

/** What {@link createQueueReporters} uses. */
interface QueueReportersOptions {
  readonly events: Pick<AgentEvents, 'emitAndWait'>;
  readonly audit: Pick<Audit, 'record'>;
  readonly log: Log;
}

/** The part of the reporters that is about what happens to queues: see `createReporters`. */
export function createQueueReporters({ events, audit, log }: QueueReportersOptions) {
  const recordOvergrown = (
    action: AuditAction,
    reason: string,
    overgrown: EventData<'queue.deleted'>,
    more: { readonly oldest?: string | null } = {},
  ): void => {
    const { namespace, queue, messages, bytes = null, deleteAtMessages, deleteAtBytes = null } = overgrown;
    const details = { messages, deleteAtMessages, bytes, deleteAtBytes, ...more };
    audit.record({ action, namespace, subject: queue, reason, details });
  };
  return {
    async queueWarned(warned: EventData<'queue.warning'>): Promise<void> {
      log.warn({ code: 'queue_warning', ...warned }, 'a queue has grown past the warning threshold');
      await events.emitAndWait('queue.warning', warned);
    },

    async queueRecovered(recovered: EventData<'queue.recovered'>): Promise<void> {
      log.info({ code: 'queue_recovered', ...recovered }, 'an overgrown queue has recovered');
      await events.emitAndWait('queue.recovered', recovered);
    },

    async queueDeleted(deleted: EventData<'queue.deleted'>): Promise<void> {
      recordOvergrown('queue-deletion', 'overgrown', deleted);
      log.warn({ code: 'queue_deleted', ...deleted }, 'deleted an overgrown queue');
      await events.emitAndWait('queue.deleted', deleted);
    },

    async queuePurged(purged: EventData<'queue.purged'>): Promise<void> {
      recordOvergrown('queue-purge', 'overgrown', purged, { oldest: purged.oldest ?? null });
      log.warn({ code: 'queue_purged', ...purged }, 'purged an overgrown queue');
      await events.emitAndWait('queue.purged', purged);
    },

    async queueLeft(left: EventData<'queue.left'>): Promise<void> {
      recordOvergrown('queue-left', 'overgrown, and left by its rule', left);
      log.warn({ code: 'queue_left', ...left }, 'left an overgrown queue, by its rule');
      await events.emitAndWait('queue.left', left);
    },

    async queueIdle(idle: EventData<'queue.idle'>): Promise<void> {
      const { namespace, queue, messages, idleSince, expires } = idle;
      const details = { messages, idleSince, expires };
      audit.record({ action: 'queue-idle', namespace, subject: queue, reason: 'it is unused', details });
      log.warn({ code: 'queue_idle', ...idle }, 'a queue is unused; it is deleted if it stays so');
      await events.emitAndWait('queue.idle', idle);
    },

    async queueExpired(expired: EventData<'queue.expired'>): Promise<void> {
      const { namespace, queue, messages, idleSince } = expired;
      const details = { messages, idleSince };
      audit.record({ action: 'queue-expiry', namespace, subject: queue, reason: 'it was unused', details });
      log.warn({ code: 'queue_expired', ...expired }, 'deleted an unused queue');
      await events.emitAndWait('queue.expired', expired);
    },

    async queueExempted({ namespace, queue, untilMs }: QueueExemption): Promise<void> {
      const until = formatInstant(untilMs);
      log.info({ code: 'queue_exempted', namespace, queue, until }, 'an operator exempted a queue from deletion');
      await events.emitAndWait('queue.exempted', { namespace, queue, until });
    },

    async queueExemptionEnded({ namespace, queue, untilMs }: QueueExemption): Promise<void> {
      const reason = untilMs === 0 ? 'ended' : 'expired';
      log.info({ code: 'queue_exemption_ended', namespace, queue, reason }, 'a queue may be deleted again');
      await events.emitAndWait('queue.exemption-ended', { namespace, queue, reason });
    },
  };
}
