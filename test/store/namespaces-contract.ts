import assert from 'node:assert/strict';
import { recordOf } from '../support/records.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { Store } from '../../src/store/store.ts';
import { pick, race, WRITERS } from './racing-writers.ts';

const NOW_MS = Date.parse('2026-11-24T12:00:00.123Z');

/** A record as the first write leaves it. */
export function firstRecord(given: Partial<NamespaceRecord> = {}): NamespaceRecord {
  return recordOf(NOW_MS, { revision: 1, ...given });
}

/**
 * The promises of the records of namespaces, which every adapter keeps.
 *
 * @param storeOf the store of the test that runs
 * @param another another agent's access to it
 */
export function namespacesContract(storeOf: () => Store, another: () => Promise<Store>, rounds: number): void {
  let store: Store;
  beforeEach(() => {
    store = storeOf();
  });

  it('returns a whole record as it was written', async () => {
    const full = firstRecord({
      namespace: 'taskcluster-Ünïcode-✓',
      contact: 'søren+пульс@exämple.org "🐇" \u0000 end',
      claimedMs: NOW_MS + 6,
      revokedUntilMs: NOW_MS + 1,
      revokedMs: NOW_MS + 5,
      deletedAtMs: NOW_MS + 2,
      state: 'deleted',
      deletionReason: 'released',
      expiryAnnouncedForMs: NOW_MS + 3,
      recheckAtMs: NOW_MS + 4,
      generation: 2 ** 31 + 7,
      permissionsVersion: 0,
      deletionBlock: { queue: 'queue/taskcluster-a/ü', node: 'rabbit@b' },
    });
    const empty = firstRecord({ namespace: 'taskcluster-empty', claimedBy: '', nextSecretId: '', expiresMs: 0 });
    for (const record of [full, empty]) {
      assert.equal(await store.namespaces.insert(record), true);
      assert.deepStrictEqual(await store.namespaces.get(record.namespace), record);
    }
    const { deletionBlock: _, ...unblocked } = { ...full, revision: 2 };
    assert.equal(await store.namespaces.replace(unblocked, 1), true);
    assert.deepStrictEqual(await store.namespaces.get(full.namespace), unblocked);
  });

  it('has no record of a name that was never written', async () => {
    assert.equal(await store.namespaces.get('taskcluster-unknown'), undefined);
    assert.equal(await store.namespaces.replace(firstRecord({ revision: 2 }), 1), false);
    assert.equal(await store.namespaces.remove('taskcluster-unknown', 1), false);
    assert.deepStrictEqual(await store.namespaces.list({ limit: 10 }), []);
  });

  it('inserts a name once, in any state', async () => {
    const tombstone = firstRecord({ state: 'deleted', deletedAtMs: NOW_MS });
    assert.equal(await store.namespaces.insert(tombstone), true);
    assert.equal(await store.namespaces.insert(firstRecord()), false);
    assert.deepStrictEqual(await store.namespaces.get(tombstone.namespace), tombstone);
  });

  it('replaces and removes only a record with the expected revision', async () => {
    const first = firstRecord();
    const second = { ...first, revision: 2, contact: 'second@example.org' };
    await store.namespaces.insert(first);
    assert.equal(await store.namespaces.replace({ ...first, revision: 3 }, 2), false);
    assert.equal(await store.namespaces.replace(second, 1), true);
    assert.equal(await store.namespaces.replace({ ...first, revision: 2 }, 1), false);
    assert.deepStrictEqual(await store.namespaces.get(first.namespace), second);
    assert.equal(await store.namespaces.remove(first.namespace, 1), false);
    assert.equal(await store.namespaces.remove(first.namespace, 2), true);
    assert.equal(await store.namespaces.get(first.namespace), undefined);
    assert.equal(await store.namespaces.insert(first), true);
  });

  it('counts the namespaces that a client holds, as they are claimed, moved and removed', async () => {
    const counts = async () => [
      await store.namespaces.countHeldBy('team/a'),
      await store.namespaces.countHeldBy('team/b'),
    ];
    assert.deepStrictEqual(await counts(), [0, 0]);
    const states = ['active', 'provisioning', 'expiring', 'deleted', 'active'] as const;
    const records = states.map((state, index) =>
      firstRecord({ namespace: `taskcluster-${index}`, state, claimedBy: index === 4 ? 'team/b' : 'team/a' }),
    );
    for (const record of records) await store.namespaces.insert(record);
    assert.deepStrictEqual(await counts(), [2, 1]);
    const [first] = records;
    assert.ok(first !== undefined);
    await store.namespaces.replace({ ...first, revision: 2, claimedBy: 'team/b' }, 1);
    assert.deepStrictEqual(await counts(), [1, 2]);
    await store.namespaces.replace({ ...first, revision: 2 }, 1);
    await store.namespaces.replace({ ...first, revision: 3, claimedBy: 'team/b', state: 'expiring' }, 2);
    assert.deepStrictEqual(await counts(), [1, 1]);
    await store.namespaces.replace({ ...first, revision: 4, state: 'active' }, 3);
    await store.namespaces.remove('taskcluster-1', 1);
    assert.deepStrictEqual(await counts(), [1, 1]);
    // The client is named by a token, which may be long.
    const long = 'x'.repeat(5000);
    await store.namespaces.insert(firstRecord({ namespace: 'taskcluster-long', claimedBy: long }));
    assert.equal(await store.namespaces.countHeldBy(long), 1);
  });

  it('counts the records of each state as they are inserted, changed and removed', async () => {
    const none = { provisioning: 0, active: 0, expiring: 0, deleted: 0 };
    assert.deepStrictEqual(await store.namespaces.countByState(), none);
    const states = ['active', 'provisioning', 'active', 'deleted', 'active'] as const;
    const records = states.map((state, index) =>
      // The earliest and the latest instants there are.
      firstRecord({ namespace: `taskcluster-${index}`, state, expiresMs: index === 0 ? 0 : 8_640_000_000_000_000 }),
    );
    for (const record of records) await store.namespaces.insert(record);
    assert.deepStrictEqual(await store.namespaces.countByState(), { ...none, provisioning: 1, active: 3, deleted: 1 });
    const [first, second] = records;
    assert.ok(first && second);
    await store.namespaces.replace({ ...first, revision: 2, state: 'expiring', expiresMs: 1 }, 1);
    await store.namespaces.remove(second.namespace, 1);
    assert.deepStrictEqual(await store.namespaces.countByState(), { ...none, expiring: 1, active: 2, deleted: 1 });
  });

  it('refuses a record whose revision is not the next one', async () => {
    await assert.rejects(store.namespaces.insert(firstRecord({ revision: 2 })), RangeError);
    await store.namespaces.insert(firstRecord());
    await assert.rejects(store.namespaces.replace(firstRecord({ revision: 1 }), 1), RangeError);
    await assert.rejects(store.namespaces.replace(firstRecord({ revision: 3 }), 1), RangeError);
  });

  it('lists pages by name, in the order of code units', async () => {
    const names = ['t-B', 't-a', 't-_', 't-10', 't-9', 't-b', 't', 't-', 't-A1', 't-A', 't--'];
    for (const namespace of names) await store.namespaces.insert(firstRecord({ namespace }));
    // oxlint-disable-next-line unicorn/no-array-sort -- the default order is the one that is promised
    const sorted = names.toSorted();
    const paged: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await store.namespaces.list({ limit: 3, ...(after === undefined ? {} : { after }) });
      paged.push(...page.map((record) => record.namespace));
      after = page.at(-1)?.namespace;
      if (after === undefined) break;
    }
    assert.deepStrictEqual(paged, sorted);
    const between = await store.namespaces.list({ limit: 2, after: 't-A0' });
    assert.deepStrictEqual(namesOf(between), ['t-A1', 't-B']);
    assert.deepStrictEqual(await store.namespaces.list({ limit: 0 }), []);
  });

  it('lists only records in the requested states', async () => {
    const states = ['active', 'deleted', 'expiring', 'active', 'provisioning'] as const;
    for (const [index, state] of states.entries()) {
      await store.namespaces.insert(firstRecord({ namespace: `t-${index}`, state }));
    }
    assert.deepStrictEqual(namesOf(await store.namespaces.list({ limit: 9, states: ['active', 'provisioning'] })), [
      't-0',
      't-3',
      't-4',
    ]);
    assert.deepStrictEqual(namesOf(await store.namespaces.list({ limit: 1, states: ['active'], after: 't-0' })), [
      't-3',
    ]);
    assert.deepStrictEqual(await store.namespaces.list({ limit: 9, states: [] }), []);
  });

  for (const [method, field] of [
    ['dueForRotation', 'nextRotationMs'],
    ['dueForExpiry', 'expiresMs'],
  ] as const) {
    it(`${method} gives what is due in the order of its instants`, async () => {
      const instants = [50, 10, 30, 30, 20, 40, 5];
      for (const [index, instant] of instants.entries()) {
        const state = index === 6 ? 'deleted' : index % 2 === 0 ? 'active' : 'provisioning';
        await store.namespaces.insert(firstRecord({ namespace: `t-${index}`, state, [field]: NOW_MS + instant }));
      }
      const { namespaces } = store;
      const due = async (beforeMs: number, limit = 9): Promise<string[]> =>
        namesOf(await namespaces[method]({ states: ['active', 'provisioning'], beforeMs: NOW_MS + beforeMs, limit }));
      assert.deepStrictEqual(await due(100), ['t-1', 't-4', 't-2', 't-3', 't-5', 't-0']);
      assert.deepStrictEqual(await due(40), ['t-1', 't-4', 't-2', 't-3', 't-5']);
      assert.deepStrictEqual(await due(39), ['t-1', 't-4', 't-2', 't-3']);
      assert.deepStrictEqual(await due(100, 2), ['t-1', 't-4']);
      assert.deepStrictEqual(await due(9), []);
      assert.deepStrictEqual(await due(100, 0), []);
    });

    it(`${method} follows replacements and removals, and not the ones that failed`, async () => {
      const first = firstRecord({ [field]: 10 });
      const due = async () =>
        (await store.namespaces[method]({ states: ['active', 'expiring'], beforeMs: 100, limit: 9 })).map((record) => [
          record.namespace,
          record.revision,
        ]);
      await store.namespaces.insert(first);
      await store.namespaces.insert({ ...first, [field]: 20 });
      assert.deepStrictEqual(await due(), [[first.namespace, 1]]);
      await store.namespaces.replace({ ...first, revision: 2, [field]: 1000 }, 1);
      assert.deepStrictEqual(await due(), []);
      await store.namespaces.replace({ ...first, revision: 2, [field]: 50 }, 1);
      assert.deepStrictEqual(await due(), []);
      await store.namespaces.replace({ ...first, revision: 3, state: 'expiring', [field]: 60 }, 2);
      assert.deepStrictEqual(await due(), [[first.namespace, 3]]);
      await store.namespaces.remove(first.namespace, 2);
      assert.deepStrictEqual(await due(), [[first.namespace, 3]]);
      await store.namespaces.remove(first.namespace, 3);
      assert.deepStrictEqual(await due(), []);
    });
  }

  it(`lets exactly one of ${WRITERS} racing writers win, every time`, async function () {
    this.timeout(120_000);
    const stores = [store, await another()];
    await store.namespaces.insert(firstRecord());
    for (let revision = 1; revision <= rounds; revision++) {
      const won = await race((writer) =>
        pick(stores, writer).namespaces.replace(
          firstRecord({ revision: revision + 1, claimedBy: `writer-${writer}`, expiresMs: NOW_MS + writer }),
          revision,
        ),
      );
      assert.equal(won.length, 1, `round ${revision}: ${won.length} winners`);
      const kept = await pick(stores, revision).namespaces.get(firstRecord().namespace);
      assert.equal(kept?.revision, revision + 1);
      assert.equal(kept?.claimedBy, `writer-${won[0]}`);
    }
    // No index entry of a loser stayed.
    const due = await store.namespaces.dueForExpiry({ states: ['active'], beforeMs: NOW_MS * 2, limit: 9 });
    assert.equal(due.length, 1);
  });

  it(`lets exactly one of ${WRITERS} concurrent first inserts win, every time`, async function () {
    this.timeout(120_000);
    const stores = [store, await another()];
    for (let round = 0; round < rounds; round++) {
      const namespace = `taskcluster-${round}`;
      const won = await race((writer) =>
        pick(stores, writer).namespaces.insert(firstRecord({ namespace, claimedBy: `writer-${writer}` })),
      );
      assert.equal(won.length, 1);
      assert.equal((await store.namespaces.get(namespace))?.claimedBy, `writer-${won[0]}`);
    }
  });
}

function namesOf(records: readonly NamespaceRecord[]): string[] {
  return records.map((record) => record.namespace);
}
