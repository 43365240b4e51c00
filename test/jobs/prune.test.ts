import assert from 'node:assert/strict';
import { createPrune, isPrunable } from '../../src/jobs/prune.ts';
import { createLog } from '../../src/util/log.ts';
import { createClockBounds } from '../../src/namespaces/clock-bounds.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { agentOf, noticeOf, recordOf } from '../support/records.ts';
import { auditOf } from '../store/audit-contract.ts';

const DAY = 86_400_000;
const LOG = createLog({ logLevel: 'silent', id: 'test' });

describe('prune', () => {
  it('keeps a tombstone for a day after the deletion and the end of a revocation', () => {
    const deleted = recordOf(0, { state: 'deleted', deletedAtMs: 1000 });
    assert.equal(isPrunable(deleted, 1000 + DAY - 1), false);
    assert.equal(isPrunable(deleted, 1000 + DAY), true);
    const revoked = { ...deleted, revokedUntilMs: 5000 };
    assert.equal(isPrunable(revoked, 5000 + DAY - 1), false);
    assert.equal(isPrunable(revoked, 5000 + DAY), true);
    assert.equal(isPrunable(recordOf(0), 100 * DAY), false);
    assert.equal(isPrunable({ ...deleted, state: 'expiring' }, 100 * DAY), false);
  });

  it('removes old tombstones, nonces, notices, audit records and records of agents, and nothing else', async () => {
    const clock = createManualClock();
    const store = createMemoryStore();
    store.put(recordOf(clock.nowMs(), { namespace: 'alive' }));
    store.put(recordOf(0, { namespace: 'old', state: 'deleted', deletedAtMs: clock.nowMs() - DAY }));
    store.put(recordOf(0, { namespace: 'young', state: 'deleted', deletedAtMs: clock.nowMs() - DAY + 1 }));
    const entry = { replyAddress: 'a', correlationId: 'c', digest: 'd', firstSeenMs: 0, outcome: null };
    await store.nonces.remember({ ...entry, key: 'old', acceptableUntilMs: clock.nowMs() - 1 });
    await store.nonces.remember({ ...entry, key: 'young', acceptableUntilMs: clock.nowMs() + 1 });
    const settled = (days: number) => ({ state: 'sent', settledMs: clock.nowMs() - days * DAY }) as const;
    await store.notices.add(noticeOf(0, { id: 'old', ...settled(30.1) }));
    await store.notices.add(noticeOf(0, { id: 'young', ...settled(30) }));
    await store.notices.add(noticeOf(0, { id: 'waits' }));
    await store.audit.append([
      auditOf({ id: 'old', atMs: clock.nowMs() - 7 * DAY - 1 }),
      auditOf({ id: 'young', atMs: clock.nowMs() - 7 * DAY }),
    ]);
    for (const [instance, seenMs] of [
      ['gone', clock.nowMs() - DAY - 1],
      ['lost', clock.nowMs() - DAY],
    ] as const) {
      await store.agents.insert(agentOf({ instance, seenMs }));
    }
    const bounds = { earliestMs: () => clock.nowMs() };
    const prune = createPrune({ store, bounds, log: LOG, auditRetentionDays: 7 });
    await prune(new AbortController().signal);
    assert.deepEqual(
      ['alive', 'old', 'young'].map((name) => store.peek(name) !== undefined),
      [true, false, true],
    );
    assert.equal(await store.nonces.recordOutcome('old', 'x'), undefined);
    assert.equal(await store.nonces.recordOutcome('young', 'x'), 'x');
    assert.equal(await store.notices.get('old'), undefined);
    for (const id of ['young', 'waits']) assert.equal((await store.notices.get(id))?.id, id);
    assert.deepEqual(
      (await store.agents.list()).map(({ instance }) => instance),
      ['lost'],
    );
    assert.deepEqual(
      (await store.audit.list({ limit: 9 })).map(({ id }) => id),
      ['young'],
    );
  });

  it('removes no nonce and no tombstone early when the clock is set forward', async () => {
    const clock = createManualClock();
    const store = createMemoryStore();
    const intervals = { rotationMs: DAY / 24, defaultLifetimeMs: DAY, maxLifetimeMs: DAY, handshakeMs: 10_000 };
    const bounds = createClockBounds(clock, intervals, () => undefined);
    store.put(recordOf(0, { namespace: 'young', state: 'deleted', deletedAtMs: clock.nowMs() - DAY + 1 }));
    const entry = { replyAddress: 'a', correlationId: 'c', digest: 'd', firstSeenMs: 0, outcome: null };
    await store.nonces.remember({ ...entry, key: 'young', acceptableUntilMs: clock.nowMs() + 1 });
    clock.setWall(clock.nowMs() + DAY);
    await createPrune({ store, bounds, log: LOG, auditRetentionDays: 7 })(new AbortController().signal);
    assert.notEqual(store.peek('young'), undefined);
    assert.equal(await store.nonces.recordOutcome('young', 'x'), 'x');
  });
});
