import assert from 'node:assert/strict';
import type { Store } from '../../src/store/store.ts';
import { agentOf } from '../support/records.ts';
import type { MakeStore } from './store-contract.ts';

const WRITERS = 16;
const ROUNDS = 5;

/** The promises of the store of agents' records, which every adapter keeps. */
export function agentsContract(make: MakeStore): void {
  describe('records of agents', () => {
    let store: Store;
    let place: Awaited<ReturnType<MakeStore>>['place'];
    beforeEach('make a store', async () => {
      ({ store, place } = await make());
    });

    it('returns a record as it was written, also when the store is opened again', async () => {
      const agent = agentOf({
        parts: {
          store: { state: 'down', since: '2026-11-24T12:00:00.000Z', required: true, reason: 'Ünï "✓"' },
          'round-trip': { state: 'up', since: '2026-11-24T11:00:00.000Z', required: true },
        },
        jobs: {
          'reconcile-broker': { everyMs: 300_000 },
          prune: { everyMs: 60_000, succeeded: '2026-11-24T12:00:00.000Z' },
          'survey-queues': { everyMs: 60_000, failed: '2026-11-24T12:00:00.000Z', error: 'BrokerUnavailable' },
        },
        secretIds: ['one', 'two'],
      });
      assert.equal(await store.agents.insert(agent), true);
      assert.deepStrictEqual(await store.agents.get(agent.instance), agent);
      assert.equal(await store.agents.get('other'), undefined);
      assert.deepStrictEqual(await (await place.reopen()).agents.list(), [agent]);
    });

    it('inserts, replaces and removes by compare-and-set', async () => {
      const { agents } = store;
      const first = agentOf();
      const second = { ...first, revision: 2, ready: false };
      assert.equal(await agents.replace(second, 1), false);
      assert.equal(await agents.remove(first.instance, 1), false);
      assert.equal(await agents.insert(first), true);
      assert.equal(await agents.insert({ ...first, version: 'other' }), false);
      assert.equal(await agents.replace(second, 1), true);
      assert.equal(await agents.replace({ ...second, version: 'other' }, 1), false);
      assert.deepStrictEqual(await agents.list(), [second]);
      assert.equal(await agents.remove(first.instance, 1), false);
      assert.equal(await agents.remove(first.instance, 2), true);
      assert.deepStrictEqual(await agents.list(), []);
      await assert.rejects(agents.insert(second), RangeError);
    });

    it('lists every record', async () => {
      const instances = Array.from({ length: 150 }, (_, index) => `host-${index}`);
      for (const instance of instances) await store.agents.insert(agentOf({ instance }));
      const listed = (await (await place.another()).agents.list()).map(({ instance }) => instance);
      assert.deepStrictEqual(listed.toSorted(), instances.toSorted());
    });

    it(`lets exactly one of ${WRITERS} racing writers win, every time`, async function () {
      this.timeout(60_000);
      const stores = [store, await place.another()];
      const race = async (write: (to: Store['agents'], writer: number) => Promise<boolean>): Promise<number> => {
        const won = await Promise.all(
          Array.from({ length: WRITERS }, (_, writer) => write((stores[writer % 2] ?? store).agents, writer)),
        );
        return won.filter(Boolean).length;
      };
      for (let round = 0; round < ROUNDS; round += 1) {
        const first = agentOf({ instance: `host-${round}` });
        assert.equal(await race((to, writer) => to.insert({ ...first, version: `${writer}` })), 1);
        assert.equal(await race((to, writer) => to.replace({ ...first, revision: 2, version: `${writer}` }, 1)), 1);
        assert.equal(await race((to) => to.remove(first.instance, 2)), 1);
      }
    });

    it('fails with StoreUnavailable when it is closed', async () => {
      const { agents } = store;
      await store.close();
      const calls = [
        () => agents.get('x'),
        () => agents.insert(agentOf()),
        () => agents.replace(agentOf({ revision: 2 }), 1),
        () => agents.remove('x', 1),
        () => agents.list(),
      ];
      for (const call of calls) await assert.rejects(call(), { code: 'StoreUnavailable' });
    });
  });
}
