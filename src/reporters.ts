import { randomUUID } from 'node:crypto';
import type { Audit } from './audit/audit.ts';
import { type AuditedClaim, createClaimAudit } from './audit/claim-audit.ts';
import type { SweepResult } from './broker/sweep-request-vhost.ts';
import type { EventData } from './contract/events.ts';
import { formatInstant } from './contract/fields.ts';
import type { AgentEvents } from './events/agent-events.ts';
import type { NamespaceWorkFailure } from './namespaces/backoff.ts';
import { createQueueReporters } from './queues/queue-reporters.ts';
import type { RefusalReason } from './observe/refusal-reasons.ts';
import type { Requester } from './requests/method.ts';
import type { NamespaceRecord } from './store/namespace-record.ts';
import type { Notice } from './store/notice-records.ts';
import { AgentError } from './util/agent-errors.ts';
import type { Clock } from './util/clock.ts';
import type { Log } from './util/log.ts';

/** What {@link createReporters} uses. */
export interface ReportersOptions {
  readonly events: Pick<AgentEvents, 'emit' | 'emitAndWait'>;
  readonly audit: Pick<Audit, 'record'>;
  readonly log: Log;
  readonly clock: Clock;
  /** A claim was refused. */
  readonly onRefused?: (reason: RefusalReason) => void;
}

/** One function for each outcome; see {@link createReporters}. */
export type Reporters = ReturnType<typeof createReporters>;

/** The log line names at most this many unknown users; there may be thousands. */
const MAX_LOGGED_USERS = 20;

/** `lastError` of a notice whose latest attempt got no answer. */
const NO_ANSWER = 'NoAnswer';

/**
 * A function for each outcome of the work: its agent event, its audit record and its log line, side by side.
 *
 * None of the functions throws. Those that return a promise resolve when their event is published or abandoned. A caller
 * that deletes the stored outcome awaits the promise first. If the agent dies in between, the outcome is still stored, and
 * an agent reports it again.
 */
export function createReporters({ events, audit, log, clock, onRefused }: ReportersOptions) {
  const auditClaim = createClaimAudit({ audit, clock });
  return {
    namespaceClaimed(claim: AuditedClaim, requester: Requester): void {
      auditClaim(claim, requester);
      if (!claim.isNewHolder) return;
      const { record, reclaimAtMs, isNew } = claim;
      events.emit('namespace.claimed', {
        namespace: record.namespace,
        clientId: record.claimedBy,
        ...userOf(requester),
        first: isNew,
        created: formatInstant(record.createdMs),
        expires: formatInstant(record.expiresMs),
        reclaimAt: formatInstant(reclaimAtMs),
      });
    },

    /** A first claim was refused, because it would have taken over what is there. */
    namespaceRefused({ namespace, clientId, reason, subject }: RefusedNamespace): void {
      onRefused?.(reason);
      events.emit('namespace.refused', { namespace, clientId, reason });
      audit.record({
        actor: 'client',
        actorName: clientId,
        action: 'claim',
        namespace,
        subject,
        reason: 'first claim',
        outcome: reason === 'account' ? 'refused: the user exists' : 'refused: queues or exchanges exist',
      });
      log.warn(
        { code: 'namespace_refused', namespace, clientId, reason, subject },
        'refused a first claim, because it would take over what exists already',
      );
    },

    /** A first claim was refused, because the client holds as many namespaces as it may. */
    claimOverLimit(): void {
      onRefused?.('too-many-namespaces');
    },

    namespaceReleased(namespace: string, requester: Requester): void {
      events.emit('namespace.released', { namespace, clientId: requester.clientId, ...userOf(requester) });
      audit.record({ ...byClient(requester), action: 'release', namespace, reason: 'released by its owner' });
    },

    namespaceRevoked(namespace: string, refusedUntilMs: number | undefined, requester: Requester): void {
      const revokedUntil = refusedUntilMs === undefined ? undefined : formatInstant(refusedUntilMs);
      events.emit('namespace.revoked', {
        namespace,
        clientId: requester.clientId,
        ...userOf(requester),
        ...(revokedUntil === undefined ? {} : { revokedUntil }),
      });
      audit.record({
        ...byClient(requester),
        action: 'revocation',
        namespace,
        reason: 'requested by an operator',
        details: { revokedUntil: revokedUntil ?? null },
      });
    },

    namespaceRotated(record: NamespaceRecord, account: string): void {
      const { namespace, generation } = record;
      const nextRotation = formatInstant(record.nextRotationMs);
      const details = { generation, nextRotation };
      events.emit('namespace.rotated', { namespace, account, ...details });
      audit.record({ action: 'rotation', namespace, subject: account, reason: 'rotation due', details });
      log.debug({ code: 'namespace_rotated', namespace, account, ...details }, 'rotated a namespace');
    },

    namespaceExpiring({ namespace, expiresMs, deletionReason }: NamespaceRecord): void {
      const expires = formatInstant(expiresMs);
      events.emit('namespace.expiring', { namespace, reason: deletionReason ?? 'expired', expires });
      log.info({ code: 'namespace_expiring', namespace, expires }, 'a namespace is about to be deleted');
    },

    namespaceDeleted(record: NamespaceRecord, queues: number, exchanges: number): void {
      const { namespace } = record;
      const reason = record.deletionReason ?? 'expired';
      events.emit('namespace.expired', { namespace, reason, queues, exchanges });
      audit.record({ action: 'deletion', namespace, reason, details: { queues, exchanges } });
      log.info(
        { code: 'namespace_deleted', namespace, reason, queues, exchanges },
        'deleted a namespace and everything it owned',
      );
    },

    namespaceWorkFailed(failing: NamespaceWorkFailure): void {
      const { namespace, work, failures, error } = failing;
      const retryAt = formatInstant(failing.retryAtMs);
      const code = error instanceof AgentError ? error.code : 'InternalServerError';
      events.emit('namespace.failing', { namespace, work, failures, error: code, retryAt });
      log.warn(
        { code: 'namespace_work_failed', err: error, namespace, work, failures, retryAt },
        'work for a namespace failed; will retry',
      );
    },

    /** @param closed `connection` is RabbitMQ's name, which has addresses: every account reads events, so it is only audited. */
    connectionClosed(closed: EventData<'connection.closed'>): void {
      const { namespace, account, connection, reason } = closed;
      const id = randomUUID();
      events.emit('connection.closed', { ...closed, connection: id });
      const details = { account, connection: id };
      audit.record({ action: 'connection-closing', namespace, subject: connection, reason, details });
    },

    accountRepaired(namespace: string, account: string, repaired: AccountDrift): void {
      events.emit('account.repaired', { namespace, account, repaired: [...repaired] });
      audit.record({
        action: 'repair',
        namespace,
        subject: account,
        reason: 'differed from its record',
        details: { repaired: repaired.join() },
      });
      log.warn(
        { code: 'account_repaired', namespace, account, repaired },
        'repaired an account that differed from its record',
      );
    },

    recordAdvanced(namespace: string, fromGeneration: number, toGeneration: number): void {
      const details = { fromGeneration, toGeneration };
      audit.record({ action: 'repair', namespace, reason: 'its record was behind its accounts', details });
      log.warn({ code: 'record_advanced', namespace, ...details }, 'advanced a record that was behind its accounts');
    },

    unknownUsersChanged(users: readonly string[]): void {
      if (users.length === 0) {
        log.info({ code: 'no_unknown_users' }, 'no unknown account-like users remain');
        return;
      }
      log.warn(
        { code: 'unknown_users', count: users.length, users: users.slice(0, MAX_LOGGED_USERS) },
        'unknown users match the account naming scheme; left untouched',
      );
    },

    /** A sweep of the request vhost found foreign bindings. */
    requestVhostSwept({ removed, left, sources, deleted }: SweepResult): void {
      const details = { removed, left, sources: sources.join(), deleted: deleted.join() };
      const reason = 'foreign bindings in the vhost of the requests';
      audit.record({ action: 'repair', reason, outcome: left === 0 ? 'done' : 'incomplete', details });
      if (left === 0) log.warn({ code: 'foreign_bindings_removed', ...details }, 'removed foreign bindings');
      else
        log.error({ code: 'foreign_bindings_left', ...details }, 'could not remove all foreign bindings; will retry');
    },

    claimantRepaired(claimant: string, repairs: readonly string[]): void {
      const details = { repaired: repairs.join() };
      audit.record({ action: 'repair', subject: claimant, reason: 'differed from the configuration', details });
      log.info({ code: 'claimant_repaired', claimant, repairs }, 'claimant account repaired');
    },

    /** A replica of one of the agent's own queues was added on a node. */
    replicaAdded(queue: string, node: string): void {
      audit.record({ action: 'repair', subject: queue, reason: 'a node had no replica', details: { node } });
      log.info({ code: 'replica_added', queue, node }, "added a replica of one of the agent's queues");
    },

    ...createQueueReporters({ events, audit, log }),

    queueNotProcessed(queue: string, error: unknown): void {
      log.warn(
        { code: 'queue_not_processed', err: error, queue },
        'could not process a queue; the next survey or inspection does it',
      );
    },

    /** An attempt to send a notice was made. Never reports to whom. */
    noticeAttempted(notice: Notice): void {
      logNotice(notice, log);
      if (notice.settledMs === null) return;
      const { id, kind, namespace, queue, state, attempts, lastError } = notice;
      const outcome = state === 'failed' ? `failed: ${lastError}` : state;
      const details = { notice: id, attempts };
      audit.record({ action: 'notice', namespace, subject: queue, reason: kind, outcome, details });
    },

    async noticeFailing({ namespace, queue, kind, attempts, lastError, batch, batchOf }: Notice): Promise<void> {
      const error = lastError ?? NO_ANSWER;
      const shared = batch === undefined && batchOf === undefined ? {} : { shared: true };
      await events.emitAndWait('notice.failed', { namespace, queue, notice: kind, attempts, error, ...shared });
    },

    /** @param isFromEvent whether this agent alone knows: every agent lists alarms, and one of them gets the event. */
    alarmChanged(alarm: string, node: string, isActive: boolean, isFromEvent: boolean): void {
      // The log line comes first: during an alarm the connection that publishes events is blocked.
      const fields = { alarm, node, active: isActive };
      if (isActive) {
        log.error({ code: 'alarm_set', ...fields }, 'RabbitMQ raised an alarm and accepts no messages until it clears');
      } else {
        log.info({ code: 'alarm_cleared', ...fields }, 'RabbitMQ cleared an alarm');
      }
      if (!isFromEvent) return;
      events.emit('broker.alarm', { alarm, ...(node === '' ? {} : { node }), active: isActive });
    },

    clockStepped(byMs: number): void {
      log.error(
        { code: 'clock_stepped', byMs },
        'system clock stepped; using the more conservative of wall and monotonic time for two rotation intervals',
      );
    },
  };
}

interface RefusedNamespace extends EventData<'namespace.refused'> {
  /** The user, queue or exchange that is in the way. */
  readonly subject: string;
}

type AccountDrift = Readonly<EventData<'account.repaired'>['repaired']>;

function userOf({ userId }: Requester): { readonly userId?: string } {
  return userId === undefined ? {} : { userId };
}

function byClient({ clientId, userId, correlationId }: Requester) {
  return { actor: 'client', actorName: clientId, userId: userId ?? null, requestId: correlationId } as const;
}

function logNotice(notice: Notice, log: Log): void {
  const { id, kind, namespace, queue, state, attempts, lastError, batch, batchOf } = notice;
  const shared = batch === undefined ? (batchOf === undefined ? {} : { sentWith: batchOf }) : { queues: batch.queues };
  const fields = { notice: id, kind, namespace, queue, attempts, ...shared };
  switch (state) {
    case 'sent':
      log.info({ code: 'notice_sent', ...fields }, 'sent a notice to an owner');
      break;
    case 'failed':
      log.error(
        { code: 'notice_failed', ...fields, error: lastError ?? NO_ANSWER },
        'could not deliver a notice; giving up',
      );
      break;
    case 'withdrawn':
      log.info({ code: 'notice_withdrawn', ...fields }, 'withdrew a notice that is out of date');
      break;
    case 'waiting':
    case 'gathered':
    case 'held':
      log.warn(
        { code: 'notice_delayed', ...fields, error: lastError, nextAttempt: formatInstant(notice.nextAttemptMs) },
        'could not send a notice; will retry',
      );
      break;
  }
}
