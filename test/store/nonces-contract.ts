import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { unique } from '../support/folders.ts';
import type { Store } from '../../src/store/store.ts';
import { pick, writers } from './racing-writers.ts';
import type { NonceEntry } from '../../src/store/nonce-records.ts';

const NOW_MS = Date.parse('2026-11-24T12:00:00.123Z');

/** A use of a signature. */
export function nonceOf(given: Partial<NonceEntry> = {}): NonceEntry {
  return {
    key: unique('nonce'),
    replyAddress: 'amq.rabbitmq.reply-to.x',
    correlationId: 'c-1',
    digest: 'd-1',
    firstSeenMs: NOW_MS,
    acceptableUntilMs: NOW_MS + 600_000,
    outcome: null,
    ...given,
  };
}

/**
 * The promises of the memory of signatures, which every adapter keeps.
 *
 * @param storeOf the store of the test that runs
 * @param another another agent's access to it
 */
export function noncesContract(storeOf: () => Store, another: () => Promise<Store>, rounds: number): void {
  let store: Store;
  beforeEach(() => {
    store = storeOf();
  });

  it('keeps the first use of a signature and returns it for every later one', async () => {
    const entry = nonceOf();
    assert.deepStrictEqual(await store.nonces.remember(entry), entry);
    const other = { ...entry, correlationId: 'c-2', digest: 'd-2', replyAddress: 'elsewhere' };
    assert.deepStrictEqual(await store.nonces.remember(other), entry);
  });

  it('sets an outcome once, and none for an unknown signature', async () => {
    const entry = nonceOf();
    await store.nonces.remember(entry);
    assert.equal(await store.nonces.recordOutcome(entry.key, '{"first":"✓"}'), '{"first":"✓"}');
    assert.equal(await store.nonces.recordOutcome(entry.key, '{"second":true}'), '{"first":"✓"}');
    assert.deepStrictEqual(await store.nonces.remember(entry), { ...entry, outcome: '{"first":"✓"}' });
    const unknown = nonceOf();
    assert.equal(await store.nonces.recordOutcome(unknown.key, '{}'), undefined);
    assert.deepStrictEqual(await store.nonces.remember(unknown), unknown);
  });

  it('sets one of two concurrent outcomes', async () => {
    const entry = nonceOf();
    await store.nonces.remember(entry);
    const stores = [store, await another()];
    const seen = await Promise.all(
      writers().map(async (writer) => {
        // A little apart, so that some read before the first one's write is done and write after it.
        for (let turns = 0; turns < writer; turns++) await nextTurn();
        await pick(stores, writer).nonces.recordOutcome(entry.key, String(writer));
        return (await pick(stores, writer).nonces.remember(entry)).outcome;
      }),
    );
    assert.equal(new Set(seen).size, 1, seen.join());
    assert.notEqual(seen[0], null);
  });

  it('keeps exactly one of concurrent uses, and returns it to all of them', async function () {
    this.timeout(120_000);
    const stores = [store, await another()];
    for (let round = 0; round < rounds; round++) {
      const key = unique('nonce');
      const answers = await Promise.all(
        writers().map((writer) => pick(stores, writer).nonces.remember(nonceOf({ key, correlationId: `c-${writer}` }))),
      );
      assert.equal(new Set(answers.map((answer) => answer.correlationId)).size, 1);
      assert.equal((await store.nonces.remember(nonceOf({ key }))).correlationId, answers[0]?.correlationId);
    }
  });

  it('prunes signatures that are no longer accepted, and returns how many', async () => {
    const entries = [1, 2, 3, 4, 5].map((ms) => nonceOf({ acceptableUntilMs: NOW_MS + ms }));
    for (const entry of entries) await store.nonces.remember(entry);
    const [oldest, , third] = entries;
    assert.ok(oldest !== undefined && third !== undefined);
    assert.equal(await store.nonces.prune(NOW_MS + 3), 2);
    assert.equal(await store.nonces.prune(NOW_MS + 3), 0);
    const again = { ...oldest, correlationId: 'again' };
    assert.deepStrictEqual(await store.nonces.remember(again), again);
    assert.deepStrictEqual(await store.nonces.remember({ ...third, correlationId: 'again' }), third);
    const counts = await Promise.all([store.nonces.prune(NOW_MS + 9), store.nonces.prune(NOW_MS + 9)]);
    assert.equal(counts[0] + counts[1], 4);
  });
}
