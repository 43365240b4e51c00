import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../../../src/util/clock.ts';
import { inspectLmdb } from '../../../src/store/lmdb/inspect-lmdb.ts';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeFolder } from '../../support/folders.ts';
import { recordOf } from '../../support/records.ts';

describe('the store in LMDB, opened for reading', () => {
  it('shows what the agent that holds it writes, and does not disturb that agent', async () => {
    const folder = makeFolder('lmdb');
    const store = await openLmdbStore({ folder, clock: systemClock, randomBytes });
    addCleanup(() => store.close());
    await store.namespaces.insert(recordOf(1, { revision: 1, namespace: 'taskcluster-a', nextRotationMs: 5 }));
    const reader = await inspectLmdb(folder);
    addCleanup(() => reader.close());
    assert.equal(reader.storeId, store.storeId);
    assert.equal((await reader.namespaces.get('taskcluster-a'))?.revision, 1);
    const due = { states: ['active'] as const, beforeMs: 10, limit: 5 };
    assert.equal((await reader.namespaces.dueForRotation(due)).length, 1);
    await store.namespaces.insert(recordOf(1, { revision: 1, namespace: 'taskcluster-b' }));
    // LMDB's snapshot for reading is let go by a timer; what is read before that is as old as the first read.
    await setTimeout(1);
    assert.deepEqual(
      (await reader.namespaces.list({ limit: 5 })).map(({ namespace }) => namespace),
      ['taskcluster-a', 'taskcluster-b'],
    );
  });

  it('says in a sentence that there is no store', async () => {
    await assert.rejects(inspectLmdb(join(makeFolder('lmdb'), 'nowhere')), {
      name: 'StoreUnavailable',
      message: /there is no store.*STORE_URL/,
    });
  });
});
