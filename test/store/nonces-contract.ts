import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { unique } from '../support/folders.ts';
import type { Store } from '../../src/store/store.ts';
import { pick, writers } from './racing-writers.ts';
import { firstRecord } from './namespaces-contract.ts';
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

  it('returns a known one, and nothing for an unknown key', async () => {
    const entry = nonceOf();
    assert.equal(await store.nonces.get(entry.key), undefined);
    await store.nonces.remember(entry);
    assert.deepStrictEqual(await store.nonces.get(entry.key), entry);
  });

  for (const isOrderFree of [false, true]) {
    describe(`together with a record, ${isOrderFree ? 'in any order' : 'before it'}`, () => {
      it('are both written, or the result is false', async () => {
        const [entry, other] = [nonceOf(), nonceOf()];
        const first = firstRecord({ namespace: unique('taskcluster') });
        const { namespace } = first;
        assert.equal(await store.namespaces.insert(first, { entry, isOrderFree }), true);
        assert.deepStrictEqual(await store.namespaces.get(namespace), first);
        assert.deepStrictEqual(await store.nonces.get(entry.key), entry);
        const second = { ...first, revision: 2, contact: 'second@example.org' };
        assert.equal(await store.namespaces.replace(second, 1, { entry: other, isOrderFree }), true);
        assert.deepStrictEqual(await store.namespaces.get(namespace), second);
        assert.deepStrictEqual(await store.nonces.get(other.key), other);
        assert.equal(await store.nonces.prune(NOW_MS + 700_000), 2);
        assert.equal(await store.nonces.get(entry.key), undefined);
      });

      it('keep the first use of a nonce, and no record of another one whose order counts', async () => {
        const entry = nonceOf();
        await store.nonces.remember(entry);
        const reused = { entry: { ...entry, replyAddress: 'elsewhere' }, isOrderFree };
        const first = firstRecord({ namespace: unique('taskcluster') });
        assert.equal(await store.namespaces.insert(first, reused), false);
        assert.deepStrictEqual(await store.nonces.get(entry.key), entry);
        if (isOrderFree) return;
        assert.equal(await store.namespaces.get(first.namespace), undefined);
        await store.namespaces.insert(first);
        assert.equal(await store.namespaces.replace({ ...first, revision: 2 }, 1, reused), false);
        assert.deepStrictEqual(await store.namespaces.get(first.namespace), first);
        assert.deepStrictEqual(await store.nonces.get(entry.key), entry);
      });

      it('write no record that another writer changed or made', async () => {
        const first = firstRecord({ namespace: unique('taskcluster') });
        await store.namespaces.insert(first);
        assert.equal(
          await store.namespaces.insert({ ...first, contact: 'x' }, { entry: nonceOf(), isOrderFree }),
          false,
        );
        const third = { ...first, revision: 3 };
        assert.equal(await store.namespaces.replace(third, 2, { entry: nonceOf(), isOrderFree }), false);
        assert.deepStrictEqual(await store.namespaces.get(first.namespace), first);
        const unknown = firstRecord({ namespace: unique('taskcluster'), revision: 2 });
        assert.equal(await store.namespaces.replace(unknown, 1, { entry: nonceOf(), isOrderFree }), false);
        assert.equal(await store.namespaces.get(unknown.namespace), undefined);
      });

      it('let one of concurrent uses of a nonce win, and one of concurrent writes of a record', async function () {
        this.timeout(120_000);
        const stores = [store, await another()];
        for (let round = 0; round < rounds / 5; round++) {
          const entry = nonceOf();
          const shared = firstRecord({ namespace: unique('taskcluster') });
          await store.namespaces.insert(shared);
          const won = await Promise.all(
            writers().map(async (writer) => {
              const { namespaces } = pick(stores, writer);
              const nonce = { ...entry, ...(writer % 4 === 3 ? { key: unique('nonce') } : {}) };
              const use = { entry: { ...nonce, correlationId: `c-${writer}` }, isOrderFree };
              const claimedBy = `writer ${writer}`;
              return writer % 2 === 0
                ? await namespaces.insert(firstRecord({ namespace: unique('taskcluster'), claimedBy }), use)
                : await namespaces.replace({ ...shared, revision: 2, claimedBy }, 1, use);
            }),
          );
          const winners = writers().filter((writer) => won[writer]);
          const ofNonce = winners.filter((writer) => writer % 4 !== 3);
          assert.ok(ofNonce.length <= 1, `won with one nonce: ${ofNonce.join()}`);
          assert.ok(winners.filter((writer) => writer % 2 === 1).length <= 1, `won one record: ${winners.join()}`);
          const kept = await store.nonces.get(entry.key);
          if (ofNonce.length === 1) assert.equal(kept?.correlationId, `c-${ofNonce[0]}`);
          assert.notEqual(kept, undefined);
        }
      });
    });
  }

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
