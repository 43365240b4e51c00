import assert from 'node:assert/strict';
import type { ManagementCallOptions } from '../../src/broker/management/management.ts';
import { momentOf } from '../../src/util/clock.ts';
import { DELETE_WINDOW_MS } from '../../src/queues/decide-alert.ts';
import { createExemptQueues } from '../../src/namespaces/deletion/exempt-queues.ts';
import { createQueueDeletion } from '../../src/queues/queue-deletion.ts';
import type { ConfirmedDepth } from '../../src/queues/confirm-depth.ts';
import { createQueueNotices } from '../../src/queues/queue-notices.ts';
import type { NoticeState } from '../../src/store/notice-records.ts';
import type { QueueAlert } from '../../src/store/queue-alert-records.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { QUEUE_CONFIG } from '../support/queue-room.ts';
import { alertOf, exemptionOf, recordOf } from '../support/records.ts';

/** A queue that is about to be deleted, and what each step of the deletion finds. */
async function scene(given: Partial<QueueAlert> = {}, owner: Partial<NamespaceRecord> = {}) {
  const clock = createManualClock();
  const store = createMemoryStore();
  const record = recordOf(clock.nowMs(), { contact: 'owner@example.org', ...owner });
  store.put(record);
  const alert = alertOf({ level: 'over', messages: 9000, ...given });
  await store.queueAlerts.insert(alert);
  const notices = new Map<string, NoticeState>();
  const { notices: outbox } = store;
  const observed: typeof outbox = {
    ...outbox,
    add: async (notice) => {
      notices.set(notice.kind, notice.state);
      return await outbox.add(notice);
    },
    replace: async (notice, revision) => {
      notices.set(notice.kind, notice.state);
      return await outbox.replace(notice, revision);
    },
  };
  const hooks = {
    confirmDepth: (): ConfirmedDepth => ({
      is: 'present',
      messages: 9001,
      isTooDeep: true,
      enoughReady: 8000,
      seenAt: momentOf(clock),
    }),
    /** The ready messages right before the delete call; undefined where there is no such queue. */
    readReady: (): number | undefined => 9001,
    beforeDelete: (): void => undefined,
    /** How often the call is sent, and whether the queue existed the last time. */
    sends: 1,
    existed: true,
    wasReplaced: false,
  };
  const reported: { messages: number }[] = [];
  const deleted: string[] = [];
  const deletion = createQueueDeletion({
    store,
    notices: createQueueNotices({ store: { notices: observed }, config: QUEUE_CONFIG, clock, growthOf: () => ({}) }),
    async deleteFromBroker(_namespace: string, queue: string, options: ManagementCallOptions) {
      hooks.beforeDelete();
      for (let sends = 0; sends < hooks.sends; sends += 1) options.beforeSend?.();
      deleted.push(queue);
      return hooks.existed;
    },
    management: {
      purgeQueue: () => assert.fail('no rule purges'),
      getOldestMessageMs: () => assert.fail('no rule purges'),
      listQueueNames: async () => [],
    },
    confirmDepth: async () => hooks.confirmDepth(),
    queueDepths: {
      readCounts: () => assert.fail('no rule lets queues expire'),
      async read([queue = '']) {
        const ready = hooks.readReady();
        return new Map(ready === undefined ? [] : [[queue, ready]]);
      },
    },
    clock,
    config: QUEUE_CONFIG,
    schedule: { wasReplacedSince: () => hooks.wasReplaced },
    exempt: createExemptQueues(store.queueExemptions, { earliestMs: () => clock.nowMs() }),
    reporters: {
      queueDeleted: async (event) => void reported.push(event),
      queuePurged: async (event) => void reported.push(event),
      queueExpired: () => assert.fail('no rule lets queues expire'),
    },
  });
  return {
    clock,
    store,
    hooks,
    reported,
    deleted,
    notice: () => notices.get('queue-deletion'),
    level: async () => (await store.queueAlerts.get(alert.queue))?.level,
    execute: (of: QueueAlert = alert) => deletion.execute(record, of, new AbortController().signal),
  };
}

describe('the deletion of a queue', () => {
  it('follows the storing of the notice, and is reported afterwards', async () => {
    const { hooks, deleted, reported, notice, level, execute } = await scene();
    let heldBefore: NoticeState | undefined;
    hooks.beforeDelete = () => (heldBefore = notice());
    await execute();
    assert.deepEqual(deleted, [alertOf().queue]);
    assert.equal(heldBefore, 'held');
    assert.equal(notice(), 'waiting');
    assert.equal(reported[0]?.messages, 9001);
    assert.equal(await level(), undefined);
  });

  it('is cancelled when the queue was drained', async () => {
    const { clock, hooks, deleted, reported, notice, level, execute } = await scene();
    hooks.confirmDepth = () => ({
      is: 'present',
      messages: 7999,
      isTooDeep: false,
      enoughReady: undefined,
      seenAt: momentOf(clock),
    });
    await execute();
    assert.deepEqual([deleted, reported], [[], []]);
    assert.equal(await level(), 'warned');
    assert.equal(notice(), 'held');
  });

  it('is cancelled when the queue is drained, missing or replaced after the confirmation, which only another agent knows', async () => {
    for (const ready of [7999, 0, undefined]) {
      const { store, hooks, deleted, reported, notice, level, execute } = await scene();
      let levelThen: Promise<string | undefined> | undefined;
      hooks.readReady = () => {
        levelThen = level();
        return ready;
      };
      await execute();
      assert.deepEqual([deleted, reported], [[], []]);
      assert.equal(await levelThen, 'deleting', 'counted once no other agent may delete it');
      const cancelled = await store.queueAlerts.get(alertOf().queue);
      assert.deepEqual([cancelled?.level, cancelled?.messages], ['warned', ready ?? 0]);
      assert.equal(notice(), 'held');
    }
  });

  it('is cancelled when an operator exempted the queue, also right before the call, and goes on when that has ended', async () => {
    for (const level of ['over', 'deleting'] as const) {
      const { clock, store, hooks, deleted, reported, notice, execute, level: levelNow } = await scene({ level });
      const exemption = exemptionOf({ untilMs: clock.nowMs() + 1_000 });
      hooks.readReady = () => {
        // The exemption is written while the deletion is under way.
        void store.queueExemptions.insert(exemption);
        return 9001;
      };
      await execute();
      assert.deepEqual([deleted, reported], [[], []]);
      assert.equal(await levelNow(), 'warned');
      assert.equal(notice(), 'held');
      clock.advance(1_000);
      const alert = await store.queueAlerts.get(exemption.queue);
      assert.ok(alert);
      await execute(alert);
      assert.deepEqual(deleted, [exemption.queue]);
    }
  });

  it('does not count ready messages again where consumers hold the rest', async () => {
    const { clock, hooks, deleted, execute } = await scene();
    hooks.confirmDepth = () => ({
      is: 'present',
      messages: 9001,
      isTooDeep: true,
      enoughReady: undefined,
      seenAt: momentOf(clock),
    });
    hooks.readReady = () => assert.fail('the ready messages are not enough to know');
    await execute();
    assert.equal(deleted.length, 1);
  });

  it('stops when the depth is unknown', async () => {
    const { hooks, deleted, level, execute } = await scene();
    hooks.confirmDepth = () => ({ is: 'unknown' });
    await execute();
    assert.deepEqual(deleted, []);
    assert.equal(await level(), 'over');
  });

  it('is not sent for a queue that was replaced since the confirmation, nor when that is too old', async () => {
    for (const spoil of [
      ({ hooks }: Awaited<ReturnType<typeof scene>>) => void (hooks.wasReplaced = true),
      ({ clock }: Awaited<ReturnType<typeof scene>>) => clock.advance(DELETE_WINDOW_MS + 1),
      // An agent that was suspended: only the wall clock shows it.
      ({ clock }: Awaited<ReturnType<typeof scene>>) => clock.setWall(clock.nowMs() + DELETE_WINDOW_MS + 1),
    ]) {
      const made = await scene();
      made.hooks.beforeDelete = () => spoil(made);
      await made.execute();
      assert.deepEqual([made.deleted, made.reported], [[], []]);
      // The deletion is resumed later.
      assert.equal(await made.level(), 'deleting');
      assert.equal(made.notice(), 'held');
    }
  });

  it('stops when another agent has changed the alert', async () => {
    const { store, hooks, deleted, reported, execute } = await scene();
    const alert = alertOf({ level: 'over', messages: 9000 });
    const confirmed = hooks.confirmDepth();
    await store.queueAlerts.replace({ ...alert, revision: 2 }, 1);
    hooks.confirmDepth = () => confirmed;
    await execute();
    assert.deepEqual([deleted, reported], [[], []]);
  });

  it('is discarded when the namespace is being deleted, or has another incarnation', async () => {
    for (const owner of [{ state: 'expiring' }, { state: 'deleted' }, { incarnation: 'next' }] as const) {
      const { deleted, reported, notice, level, execute } = await scene({}, owner);
      await execute();
      assert.deepEqual([deleted, reported], [[], []]);
      assert.equal(await level(), undefined);
      assert.equal(notice(), 'withdrawn');
    }
  });

  it('is reported when the call of an agent that died has succeeded, although the namespace is deleted', async () => {
    for (const owner of [{ state: 'deleted' }, { incarnation: 'next' }] as const) {
      const { hooks, reported, notice, level, execute } = await scene({ level: 'deleting' }, owner);
      hooks.confirmDepth = () => ({ is: 'missing' });
      await execute();
      assert.equal(reported.length, 1);
      assert.equal(notice(), 'waiting');
      assert.equal(await level(), undefined);
    }
  });

  it('is reported when the call of an agent that died has succeeded, and not when the owner deleted the queue', async () => {
    for (const [level, isReported] of [
      ['deleting', true],
      ['over', false],
    ] as const) {
      const { hooks, deleted, reported, notice, execute } = await scene({ level });
      hooks.confirmDepth = () => ({ is: 'missing' });
      await execute();
      assert.deepEqual(deleted, []);
      assert.equal(reported.length === 1, isReported);
      assert.equal(notice(), isReported ? 'waiting' : 'withdrawn');
    }
  });

  it('is not reported when the owner deleted it right before the call', async () => {
    const { hooks, reported, notice, level, execute } = await scene();
    hooks.existed = false;
    await execute();
    assert.deepEqual(reported, []);
    assert.equal(await level(), undefined);
    assert.equal(notice(), 'withdrawn');
  });

  it('is reported when the queue is missing at a repeated call: an earlier call may have succeeded', async () => {
    for (const [level, sends] of [
      ['deleting', 1],
      ['over', 2],
    ] as const) {
      const { hooks, reported, notice, execute } = await scene({ level });
      Object.assign(hooks, { sends, existed: false });
      await execute();
      assert.equal(reported.length, 1);
      assert.equal(notice(), 'waiting');
    }
  });

  it('has no notice where the namespace has no contact', async () => {
    const { deleted, reported, notice, execute } = await scene({}, { contact: null });
    await execute();
    assert.equal(deleted.length, 1);
    assert.equal(reported.length, 1);
    assert.equal(notice(), undefined);
  });
});
