import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { open } from 'lmdb';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeFolder } from '../../support/folders.ts';
import { firstRecord } from '../namespaces-contract.ts';

describe('the index of holders in LMDB', () => {
  it('takes in records of a build without it with their next revision', async () => {
    const folder = makeFolder('lmdb');
    const openStore = async (): Promise<Store> => {
      const store = await openLmdbStore({ folder, clock: systemClock, randomBytes });
      addCleanup(() => store.close());
      return store;
    };
    const before = await openStore();
    const record = firstRecord({ claimedBy: 'team/a' });
    await before.namespaces.insert(record);
    await before.close();
    const root = open({ path: join(folder, 'store.mdb'), maxDbs: 32 });
    await root.openDB({ name: 'namespaces-by-holder', encoding: 'json' }).clearAsync();
    await root.close();

    const { namespaces } = await openStore();
    assert.equal(await namespaces.countHeldBy('team/a'), 0);
    assert.equal(await namespaces.replace({ ...record, revision: 2 }, 1), true);
    assert.equal(await namespaces.countHeldBy('team/a'), 1);
    assert.equal(await namespaces.replace({ ...record, revision: 3 }, 2), true);
    assert.equal(await namespaces.countHeldBy('team/a'), 1);
  });
});
