import assert from 'node:assert/strict';
import type { SecretSighting } from '../../src/store/secret-records.ts';
import type { MakeStore } from './store-contract.ts';

/** The promises of the store of secret sightings, which every adapter keeps. */
export function secretSightingsContract(make: MakeStore): void {
  describe('secret sightings', () => {
    it('returns a sighting as it was written, and inserts, replaces and removes by compare-and-set', async () => {
      const { store } = await make();
      const { secretSightings } = store;
      const first: SecretSighting = {
        secretId: 'q1w2e3r4t5y',
        revision: 1,
        heldMs: null,
        missingMs: 1_795_521_600_123,
      };
      const second: SecretSighting = { ...first, revision: 2, heldMs: 1_795_521_600_124, missingMs: null };
      assert.equal(await secretSightings.get(first.secretId), undefined);
      assert.equal(await secretSightings.insert(first), true);
      assert.equal(await secretSightings.insert(first), false);
      assert.deepStrictEqual(await secretSightings.get(first.secretId), first);
      assert.equal(await secretSightings.replace({ ...second, revision: 3 }, 2), false);
      assert.equal(await secretSightings.replace(second, 1), true);
      assert.deepStrictEqual(await secretSightings.get(first.secretId), second);
      assert.equal(await secretSightings.remove(first.secretId, 1), false);
      assert.equal(await secretSightings.remove(first.secretId, 2), true);
      assert.equal(await secretSightings.get(first.secretId), undefined);
      await store.close();
      await assert.rejects(secretSightings.get('x'), { code: 'StoreUnavailable' });
    });
  });
}
