import assert from 'node:assert/strict';
import type { QueueAlert } from '../../src/store/queue-alert-records.ts';
import type { Store } from '../../src/store/store.ts';
import { alertOf } from '../support/records.ts';
import type { MakeStore } from './store-contract.ts';

const WRITERS = 32;
const ROUNDS = 20;

/** The promises of the store of queue alerts, which every adapter keeps. */
export function queueAlertsContract(make: MakeStore): void {
  describe('queue alerts', () => {
    let store: Store;
    let another: () => Promise<Store>;
    beforeEach('make a store', async () => {
      const made = await make();
      store = made.store;
      another = () => made.place.another();
    });

    it('returns an alert as it was written, whatever the name of its queue', async () => {
      for (const queue of ['queue/taskcluster-x/a', `queue/taskcluster-x/${'✓'.repeat(80)}`, 'queue/taskcluster-x/']) {
        const alert = alertOf({ queue, level: 'deleting', messages: 2 ** 40, bytes: 2 ** 50, seenMs: 1, changedMs: 2 });
        assert.equal(await store.queueAlerts.insert(alert), true);
        assert.deepStrictEqual(await store.queueAlerts.get(queue), alert);
      }
      assert.equal(await store.queueAlerts.get('queue/taskcluster-x/other'), undefined);
    });

    it('inserts, replaces and removes by compare-and-set', async () => {
      const first = alertOf();
      const second: QueueAlert = { ...first, revision: 2, level: 'warned' };
      assert.equal(await store.queueAlerts.replace(second, 1), false);
      assert.equal(await store.queueAlerts.remove(first.queue, 1), false);
      assert.equal(await store.queueAlerts.insert(first), true);
      assert.equal(await store.queueAlerts.insert({ ...first, episode: 'other' }), false);
      assert.equal(await store.queueAlerts.replace({ ...first, revision: 3 }, 2), false);
      assert.equal(await store.queueAlerts.replace(second, 1), true);
      assert.equal(await store.queueAlerts.replace({ ...second, level: 'over' }, 1), false);
      assert.deepStrictEqual(await store.queueAlerts.get(first.queue), second);
      assert.equal(await store.queueAlerts.remove(first.queue, 1), false);
      assert.equal(await store.queueAlerts.remove(first.queue, 2), true);
      assert.equal(await store.queueAlerts.get(first.queue), undefined);
      await assert.rejects(store.queueAlerts.insert(second), RangeError);
      await assert.rejects(store.queueAlerts.replace(second, 2), RangeError);
    });

    it('lists every alert once, in pages', async () => {
      const queues = ['b', 'a', 'B', '_', 'a/b', 'aa', '✓'].map((name) => `queue/taskcluster-x/${name}`);
      for (const queue of queues) await store.queueAlerts.insert(alertOf({ queue }));
      const listed: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.queueAlerts.list({ limit: 3, ...(after === undefined ? {} : { after }) });
        listed.push(...page.map(({ queue }) => queue));
        after = page.at(-1)?.queue;
        if (after === undefined) break;
      }
      assert.equal(listed.length, queues.length);
      assert.deepStrictEqual(new Set(listed), new Set(queues));
      assert.deepStrictEqual(await store.queueAlerts.list({ limit: 0 }), []);
    });

    it(`lets exactly one of ${WRITERS} racing writers win, every time`, async function () {
      this.timeout(120_000);
      const stores = [store, await another()];
      const race = async (write: (to: Store['queueAlerts'], writer: number) => Promise<boolean>): Promise<number> => {
        const won = await Promise.all(
          Array.from({ length: WRITERS }, (_, writer) => write((stores[writer % 2] ?? store).queueAlerts, writer)),
        );
        return won.filter(Boolean).length;
      };
      for (let round = 0; round < ROUNDS; round += 1) {
        const first = alertOf({ queue: `queue/taskcluster-x/${round}` });
        assert.equal(await race((to, writer) => to.insert({ ...first, episode: `${writer}` })), 1);
        assert.equal(await race((to, writer) => to.replace({ ...first, revision: 2, episode: `${writer}` }, 1)), 1);
        assert.equal(await race((to) => to.remove(first.queue, 2)), 1);
      }
    });

    it('fails with StoreUnavailable when it is closed', async () => {
      const { queueAlerts } = store;
      await store.close();
      const calls = [
        () => queueAlerts.get('x'),
        () => queueAlerts.insert(alertOf()),
        () => queueAlerts.replace(alertOf({ revision: 2 }), 1),
        () => queueAlerts.remove('x', 1),
        () => queueAlerts.list({ limit: 1 }),
      ];
      for (const call of calls) await assert.rejects(call(), { code: 'StoreUnavailable' });
    });
  });
}
