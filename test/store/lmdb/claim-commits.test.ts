import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { open } from 'lmdb';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import { createUseNonce, type NonceUse } from '../../../src/requests/nonce-use.ts';
import type { Store } from '../../../src/store/store.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { claimInput, never, openClaimRoom } from '../../support/claim-room.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeFolder } from '../../support/folders.ts';
import type { MemoryStore } from '../../support/memory-store.ts';
import { nonceOf } from '../nonces-contract.ts';

/** A store and the claims of an agent on it, and how many transactions LMDB has committed. */
async function openRoom() {
  const folder = makeFolder('lmdb');
  const store = await openLmdbStore({ folder, clock: systemClock, randomBytes });
  addCleanup(() => store.close());
  const reader = open({ path: join(folder, 'store.mdb'), readOnly: true, maxDbs: 32 });
  addCleanup(() => reader.close());
  const commits = (): number => (reader.getStats() as { lastTxnId: number }).lastTxnId;
  // What only a store in memory has is not used here.
  const room = openClaimRoom(store as MemoryStore);
  const nonceUse = (entry = nonceOf()): Promise<NonceUse> => createUseNonce(store.nonces)(entry);
  return { store, room, nonceUse, commitsOf: (work: () => Promise<unknown>) => countCommits(commits, work) };
}

async function countCommits(commits: () => number, work: () => Promise<unknown>): Promise<number> {
  const before = commits();
  await work();
  return commits() - before;
}

async function requireNonce(store: Store, { entry }: NonceUse): Promise<void> {
  assert.deepStrictEqual(await store.nonces.get(entry.key), entry);
}

describe('claims on LMDB', () => {
  it('commit twice for a new namespace and once for a renewal, with the nonce in it', async () => {
    const { store, room, nonceUse, commitsOf } = await openRoom();
    const claim = async (nonce: NonceUse): Promise<void> => {
      await room.claimNamespace(claimInput({ nonce }), never);
      await requireNonce(store, nonce);
    };
    const uses = [await nonceUse(), await nonceUse(), await nonceUse()] as const;
    assert.equal(await commitsOf(() => claim(uses[0])), 2);
    assert.equal(await commitsOf(() => claim(uses[1])), 1);
    assert.equal(await commitsOf(() => claim(uses[2])), 1);
    // Delivered again.
    const again = await nonceUse(uses[2].entry);
    assert.equal(await commitsOf(() => claim(again)), 1);
    // Another client, another contact.
    const changing = claimInput({ nonce: await nonceUse(), claimedBy: 'project/y', contact: 'y@example.com' });
    assert.equal(await commitsOf(() => room.claimNamespace(changing, never)), 1);
    assert.equal((await store.namespaces.get('taskcluster-x'))?.revision, 6);
  });

  it('write nothing for a nonce that another request used meanwhile', async () => {
    const { store, room, nonceUse, commitsOf } = await openRoom();
    await room.claimNamespace(claimInput({ nonce: await nonceUse() }), never);
    const before = await store.namespaces.get('taskcluster-x');
    const nonce = await nonceUse();
    await store.nonces.remember({ ...nonce.entry, replyAddress: 'elsewhere' });
    const refused = [claimInput({ nonce }), claimInput({ nonce, namespace: 'taskcluster-y' })];
    for (const claim of refused) {
      const commits = await commitsOf(() =>
        assert.rejects(room.claimNamespace(claim, never), { code: 'ReplayDetected' }),
      );
      assert.equal(commits, 0);
    }
    assert.deepStrictEqual(await store.namespaces.get('taskcluster-x'), before);
    assert.equal(await store.namespaces.get('taskcluster-y'), undefined);
  });

  it('start over with their nonce when another claim writes first', async () => {
    const { store, room, nonceUse } = await openRoom();
    await room.claimNamespace(claimInput({ nonce: await nonceUse() }), never);
    const uses = await Promise.all(Array.from({ length: 8 }, () => nonceUse()));
    await Promise.all(uses.map((nonce) => room.claimNamespace(claimInput({ nonce }), never)));
    for (const nonce of uses) await requireNonce(store, nonce);
    assert.equal((await store.namespaces.get('taskcluster-x'))?.revision, 10);
  });
});
