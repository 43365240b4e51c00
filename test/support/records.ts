import type { AgentRecord } from '../../src/store/agent-records.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import type { QueueAlert } from '../../src/store/queue-alert-records.ts';
import type { QueueExemption } from '../../src/store/queue-exemption-records.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';

/** A namespace that is active and was claimed at `nowMs`, but for what is given. */
export function recordOf(nowMs: number, given: Partial<NamespaceRecord> = {}): NamespaceRecord {
  return {
    namespace: 'taskcluster-x',
    revision: 2,
    state: 'active',
    incarnation: 'bGlmZQ',
    generation: 1,
    slots: [
      { generation: 1, secretId: 'secret-1', promisedUntilMs: nowMs + 5_400_000 },
      { generation: 0, secretId: '', promisedUntilMs: 0 },
    ],
    nextSecretId: 'secret-1',
    createdMs: nowMs,
    expiresMs: nowMs + 14_400_000,
    nextRotationMs: nowMs + 3_600_000,
    contact: null,
    claimedBy: 'project/x',
    revokedUntilMs: null,
    revokedMs: null,
    permissionsVersion: 1,
    deletedAtMs: null,
    deletionReason: null,
    expiryAnnouncedForMs: 0,
    recheckAtMs: null,
    ...given,
  };
}

/** The exemption of a queue that a written alert has, too, but for what is given. */
export function exemptionOf(given: Partial<QueueExemption> = {}): QueueExemption {
  return {
    queue: alertOf().queue,
    revision: 1,
    namespace: 'taskcluster-x',
    untilMs: Date.parse('2026-11-24T14:00:00Z'),
    reason: null,
    announcedUntilMs: 0,
    ...given,
  };
}

/** A notice that waits to be sent at `nowMs`, but for what is given. */
export function noticeOf(nowMs: number, given: Partial<Notice> = {}): Notice {
  return {
    id: 'notice',
    revision: 1,
    kind: 'queue-warning',
    namespace: 'taskcluster-x',
    incarnation: 'bGlmZQ',
    queue: 'queue/taskcluster-x/jobs',
    contact: 'owner@example.org',
    follows: null,
    messages: 4321,
    warnAtMessages: 4000,
    deleteAtMessages: 8000,
    bytes: null,
    warnAtBytes: null,
    deleteAtBytes: null,
    seenMs: nowMs,
    state: 'waiting',
    attempts: 0,
    nextAttemptMs: nowMs,
    inProgress: false,
    mayHaveArrived: false,
    lastError: null,
    settledMs: null,
    ...given,
  };
}

/** The alert of a queue that has just grown past the threshold for warnings, but for what is given. */
export function alertOf(given: Partial<QueueAlert> = {}): QueueAlert {
  return {
    queue: 'queue/taskcluster-x/jobs',
    revision: 1,
    namespace: 'taskcluster-x',
    incarnation: 'bGlmZQ',
    episode: 'ZXBpc29kZQ',
    level: 'warning',
    messages: 4000,
    bytes: null,
    seenMs: Date.parse('2026-11-24T12:00:00.123Z'),
    changedMs: Date.parse('2026-11-24T12:00:00.456Z'),
    ...given,
  };
}

/** The record of an agent that serves, but for what is given. */
export function agentOf(given: Partial<AgentRecord> = {}): AgentRecord {
  const seenMs = Date.parse('2026-11-24T12:00:00.123Z');
  return {
    instance: 'host-1',
    revision: 1,
    version: '0.1.0',
    startedMs: seenMs - 3_600_000,
    seenMs,
    ready: true,
    degraded: false,
    stopping: false,
    parts: { store: { state: 'up', since: '2026-11-24T11:00:00.000Z', required: true } },
    jobs: { prune: { everyMs: 60_000, succeeded: '2026-11-24T11:59:30.000Z' } },
    secretIds: ['secret-1'],
    ...given,
  };
}
