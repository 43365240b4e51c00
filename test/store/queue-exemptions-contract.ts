import assert from 'node:assert/strict';
import { exemptionOf } from '../support/records.ts';
import type { MakeStore } from './store-contract.ts';

/** The promises of the store of exemptions, which every adapter keeps. */
export function queueExemptionsContract(make: MakeStore): void {
  describe('exemptions of queues', () => {
    it('are returned as they were written, listed in pages, and written by compare-and-set', async () => {
      const { store } = await make();
      const { queueExemptions } = store;
      const first = exemptionOf({ reason: '✓ consumer down', untilMs: 1_795_521_600_123 });
      const second = { ...first, revision: 2, untilMs: 0, announcedUntilMs: first.untilMs };
      assert.equal(await queueExemptions.get(first.queue), undefined);
      assert.equal(await queueExemptions.insert(first), true);
      assert.equal(await queueExemptions.insert(first), false);
      assert.deepStrictEqual(await queueExemptions.get(first.queue), first);
      assert.equal(await queueExemptions.replace({ ...second, revision: 3 }, 2), false);
      assert.equal(await queueExemptions.replace(second, 1), true);
      assert.deepStrictEqual(await queueExemptions.get(first.queue), second);
      const other = exemptionOf({ queue: 'queue/taskcluster-y/b' });
      await queueExemptions.insert(other);
      const [one] = await queueExemptions.list({ limit: 1 });
      const [two] = await queueExemptions.list({ limit: 1, after: one?.queue ?? '' });
      assert.deepStrictEqual(new Set([one, two]), new Set([second, other]));
      assert.equal(await queueExemptions.remove(first.queue, 1), false);
      assert.equal(await queueExemptions.remove(first.queue, 2), true);
      assert.deepStrictEqual(await queueExemptions.list({ limit: 9 }), [other]);
      await store.close();
      await assert.rejects(queueExemptions.list({ limit: 1 }), { code: 'StoreUnavailable' });
    });
  });
}
