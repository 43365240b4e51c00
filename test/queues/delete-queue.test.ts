import assert from 'node:assert/strict';
import type { ManagementCallOptions } from '../../src/broker/management/management.ts';
import { momentOf } from '../../src/util/clock.ts';
import { DELETE_WINDOW_MS } from '../../src/queues/decide-alert.ts';
import { createDeleteQueue } from '../../src/queues/delete-queue.ts';
import type { ConfirmedDepth } from '../../src/queues/confirm-depth.ts';
import { createQueueNotices } from '../../src/queues/queue-notices.ts';
import type { NoticeState } from '../../src/store/notice-records.ts';
import type { QueueAlert } from '../../src/store/queue-alert-records.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { alertOf, recordOf } from '../support/records.ts';

const LIMITS = { warnAtMessages: 4000, deleteAtMessages: 8000 };

/** A queue that is about to be deleted, and what may happen right before each step. */
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
    look: (): ConfirmedDepth => ({ is: 'there', messages: 9001, isReady: true, seenAt: momentOf(clock) }),
    /** What a count right before the call finds; undefined where there is no such queue. */
    ready: (): number | undefined => 9001,
    beforeDelete: (): void => undefined,
    /** How often the call is sent, and whether there was such a queue the last time. */
    sends: 1,
    wasThere: true,
    isSame: true,
  };
  const told: { messages: number }[] = [];
  const deleted: string[] = [];
  const deletion = createDeleteQueue({
    store,
    notices: createQueueNotices({ store: observed, limits: LIMITS }),
    async removeQueue(_namespace: string, queue: string, options: ManagementCallOptions) {
      hooks.beforeDelete();
      for (let sends = 0; sends < hooks.sends; sends += 1) options.beforeSend?.();
      deleted.push(queue);
      return hooks.wasThere;
    },
    lastLook: async () => hooks.look(),
    readyCounts: {
      async read([queue = '']) {
        const ready = hooks.ready();
        return new Map(ready === undefined ? [] : [[queue, ready]]);
      },
    },
    clock,
    limits: LIMITS,
    isSameSince: () => hooks.isSame,
    reporters: { queueDeleted: async (event) => void told.push(event) },
  });
  return {
    clock,
    store,
    hooks,
    told,
    deleted,
    notice: () => notices.get('queue-deletion'),
    level: async () => (await store.queueAlerts.get(alert.queue))?.level,
    goOn: () => deletion.goOn(record, alert, new AbortController().signal),
  };
}

describe('the deletion of a queue', () => {
  it('comes after the notice, and tells once it is done', async () => {
    const { hooks, deleted, told, notice, level, goOn } = await scene();
    let heldBefore: NoticeState | undefined;
    hooks.beforeDelete = () => (heldBefore = notice());
    await goOn();
    assert.deepEqual(deleted, [alertOf().queue]);
    assert.equal(heldBefore, 'held');
    assert.equal(notice(), 'waiting');
    assert.equal(told[0]?.messages, 9001);
    assert.equal(await level(), undefined);
  });

  it('does not happen when the queue was drained meanwhile', async () => {
    const { clock, hooks, deleted, told, notice, level, goOn } = await scene();
    hooks.look = () => ({ is: 'there', messages: 7999, isReady: true, seenAt: momentOf(clock) });
    await goOn();
    assert.deepEqual([deleted, told], [[], []]);
    assert.equal(await level(), 'warned');
    assert.equal(notice(), 'held');
  });

  it('does not happen when it is drained, gone or made anew after that look, of which another agent was told', async () => {
    for (const ready of [7999, 0, undefined]) {
      const { store, hooks, deleted, told, notice, level, goOn } = await scene();
      let levelThen: Promise<string | undefined> | undefined;
      hooks.ready = () => {
        levelThen = level();
        return ready;
      };
      await goOn();
      assert.deepEqual([deleted, told], [[], []]);
      assert.equal(await levelThen, 'deleting', 'counted once nobody else may delete it');
      const spared = await store.queueAlerts.get(alertOf().queue);
      assert.deepEqual([spared?.level, spared?.messages], ['warned', ready ?? 0]);
      assert.equal(notice(), 'held');
    }
  });

  it('is not counted again where consumers hold what makes it deep', async () => {
    const { clock, hooks, deleted, goOn } = await scene();
    hooks.look = () => ({ is: 'there', messages: 9001, isReady: false, seenAt: momentOf(clock) });
    hooks.ready = () => assert.fail('ready ones say nothing');
    await goOn();
    assert.equal(deleted.length, 1);
  });

  it('does not happen when nobody knows how deep it is', async () => {
    const { hooks, deleted, level, goOn } = await scene();
    hooks.look = () => ({ is: 'unknown' });
    await goOn();
    assert.deepEqual(deleted, []);
    assert.equal(await level(), 'over');
  });

  it('does not hit a queue that came or went since the look, nor one that was looked at long ago', async () => {
    for (const spoil of [
      ({ hooks }: Awaited<ReturnType<typeof scene>>) => void (hooks.isSame = false),
      ({ clock }: Awaited<ReturnType<typeof scene>>) => clock.advance(DELETE_WINDOW_MS + 1),
      // An agent that was suspended: only the wall clock shows it.
      ({ clock }: Awaited<ReturnType<typeof scene>>) => clock.setWall(clock.nowMs() + DELETE_WINDOW_MS + 1),
    ]) {
      const made = await scene();
      made.hooks.beforeDelete = () => spoil(made);
      await made.goOn();
      assert.deepEqual([made.deleted, made.told], [[], []]);
      // Somebody looks at it anew.
      assert.equal(await made.level(), 'deleting');
      assert.equal(made.notice(), 'held');
    }
  });

  it('does not happen when another agent has the alert', async () => {
    const { store, hooks, deleted, told, goOn } = await scene();
    const alert = alertOf({ level: 'over', messages: 9000 });
    const look = hooks.look();
    await store.queueAlerts.replace({ ...alert, revision: 2 }, 1);
    hooks.look = () => look;
    await goOn();
    assert.deepEqual([deleted, told], [[], []]);
  });

  it('does not happen when the namespace ends, or is another one by now', async () => {
    for (const owner of [{ state: 'expiring' }, { state: 'deleted' }, { incarnation: 'next' }] as const) {
      const { deleted, told, notice, level, goOn } = await scene({}, owner);
      await goOn();
      assert.deepEqual([deleted, told], [[], []]);
      assert.equal(await level(), undefined);
      assert.equal(notice(), 'withdrawn');
    }
  });

  it('is told when the call of an agent that died has worked, although the namespace has ended since', async () => {
    for (const owner of [{ state: 'deleted' }, { incarnation: 'next' }] as const) {
      const { hooks, told, notice, level, goOn } = await scene({ level: 'deleting' }, owner);
      hooks.look = () => ({ is: 'missing' });
      await goOn();
      assert.equal(told.length, 1);
      assert.equal(notice(), 'waiting');
      assert.equal(await level(), undefined);
    }
  });

  it('is told when the call of an agent that died has worked, and not when the owner was faster', async () => {
    for (const [level, isTold] of [
      ['deleting', true],
      ['over', false],
    ] as const) {
      const { hooks, deleted, told, notice, goOn } = await scene({ level });
      hooks.look = () => ({ is: 'missing' });
      await goOn();
      assert.deepEqual(deleted, []);
      assert.equal(told.length === 1, isTold);
      assert.equal(notice(), isTold ? 'waiting' : 'withdrawn');
    }
  });

  it('is not told when the owner deleted it right before the call', async () => {
    const { hooks, told, notice, level, goOn } = await scene();
    hooks.wasThere = false;
    await goOn();
    assert.deepEqual(told, []);
    assert.equal(await level(), undefined);
    assert.equal(notice(), 'withdrawn');
  });

  it('is told when it is gone at a call that was not the first one: that one may have worked', async () => {
    for (const [level, sends] of [
      ['deleting', 1],
      ['over', 2],
    ] as const) {
      const { hooks, told, notice, goOn } = await scene({ level });
      Object.assign(hooks, { sends, wasThere: false });
      await goOn();
      assert.equal(told.length, 1);
      assert.equal(notice(), 'waiting');
    }
  });

  it('has no notice where there is nobody to tell', async () => {
    const { deleted, told, notice, goOn } = await scene({}, { contact: null });
    await goOn();
    assert.equal(deleted.length, 1);
    assert.equal(told.length, 1);
    assert.equal(notice(), undefined);
  });
});
