import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { unique } from '../support/folders.ts';
import { recordOf } from '../support/records.ts';
import { auditContract, auditOf } from './audit-contract.ts';
import { firstNotice, noticesContract } from './notices-contract.ts';
import type { NamespaceRecord, NonceEntry } from '../../src/store/records.ts';
import type { Store } from '../../src/store/store.ts';

/** Where a suite gets its stores from. */
export interface ContractPlace {
  /** Another agent's access to the store of `open`; the same one where only one agent may have it. */
  another(): Promise<Store>;
  /** Closes and opens again. */
  reopen(): Promise<Store>;
}

/** Makes an empty store for one test, which is closed and removed after it. */
export type MakeStore = () => Promise<{ store: Store; place: ContractPlace }>;

const NOW_MS = Date.parse('2026-11-24T12:00:00.123Z');
const WRITERS = 32;

/** A record as the first write leaves it. */
export function firstRecord(given: Partial<NamespaceRecord> = {}): NamespaceRecord {
  return recordOf(NOW_MS, { revision: 1, ...given });
}

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

/** The promises of the port, which every adapter keeps. */
export function storeContract(make: MakeStore, rounds: number): void {
  let store: Store;
  let place: ContractPlace;
  beforeEach('make a store', async () => {
    ({ store, place } = await make());
  });

  describe('namespaces', () => {
    it('brings a whole record back as it was written', async () => {
      const full = firstRecord({
        namespace: 'taskcluster-Ünïcode-✓',
        contact: 'søren+пульс@exämple.org "🐇" \u0000 end',
        revokedUntilMs: NOW_MS + 1,
        goneMs: NOW_MS + 2,
        state: 'gone',
        endReason: 'released',
        toldExpiresMs: NOW_MS + 3,
        recheckMs: NOW_MS + 4,
        generation: 2 ** 31 + 7,
        permissionsVersion: 0,
      });
      const empty = firstRecord({ namespace: 'taskcluster-empty', claimedBy: '', nextKeyId: '', expiresMs: 0 });
      for (const record of [full, empty]) {
        assert.equal(await store.namespaces.insert(record), true);
        assert.deepStrictEqual(await store.namespaces.get(record.namespace), record);
      }
    });

    it('knows nothing of a name that was never written', async () => {
      assert.equal(await store.namespaces.get('taskcluster-nobody'), undefined);
      assert.equal(await store.namespaces.replace(firstRecord({ revision: 2 }), 1), false);
      assert.equal(await store.namespaces.remove('taskcluster-nobody', 1), false);
      assert.deepStrictEqual(await store.namespaces.list({ limit: 10 }), []);
    });

    it('inserts a name once, in whatever state it is', async () => {
      const tombstone = firstRecord({ state: 'gone', goneMs: NOW_MS });
      assert.equal(await store.namespaces.insert(tombstone), true);
      assert.equal(await store.namespaces.insert(firstRecord()), false);
      assert.deepStrictEqual(await store.namespaces.get(tombstone.namespace), tombstone);
    });

    it('replaces and removes only what has the expected revision', async () => {
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

    it('counts the records of each state, as they are written, moved and removed', async () => {
      const none = { provisioning: 0, active: 0, expiring: 0, gone: 0 };
      assert.deepStrictEqual(await store.namespaces.countByState(), none);
      const states = ['active', 'provisioning', 'active', 'gone', 'active'] as const;
      const records = states.map((state, index) =>
        // The earliest and the latest instants there are.
        firstRecord({ namespace: `taskcluster-${index}`, state, expiresMs: index === 0 ? 0 : 8_640_000_000_000_000 }),
      );
      for (const record of records) await store.namespaces.insert(record);
      assert.deepStrictEqual(await store.namespaces.countByState(), { ...none, provisioning: 1, active: 3, gone: 1 });
      const [first, second] = records;
      assert.ok(first && second);
      await store.namespaces.replace({ ...first, revision: 2, state: 'expiring', expiresMs: 1 }, 1);
      await store.namespaces.remove(second.namespace, 1);
      assert.deepStrictEqual(await store.namespaces.countByState(), { ...none, expiring: 1, active: 2, gone: 1 });
    });

    it('refuses a record whose revision is not the next one', async () => {
      await assert.rejects(store.namespaces.insert(firstRecord({ revision: 2 })), RangeError);
      await store.namespaces.insert(firstRecord());
      await assert.rejects(store.namespaces.replace(firstRecord({ revision: 1 }), 1), RangeError);
      await assert.rejects(store.namespaces.replace(firstRecord({ revision: 3 }), 1), RangeError);
    });

    it('lists by name in the order of code units, a page at a time', async () => {
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

    it('lists only the states asked for', async () => {
      const states = ['active', 'gone', 'expiring', 'active', 'provisioning'] as const;
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
          const state = index === 6 ? 'gone' : index % 2 === 0 ? 'active' : 'provisioning';
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
          (await store.namespaces[method]({ states: ['active', 'expiring'], beforeMs: 100, limit: 9 })).map(
            (record) => [record.namespace, record.revision],
          );
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
      const stores = [store, await place.another()];
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
      const stores = [store, await place.another()];
      for (let round = 0; round < rounds; round++) {
        const namespace = `taskcluster-${round}`;
        const won = await race((writer) =>
          pick(stores, writer).namespaces.insert(firstRecord({ namespace, claimedBy: `writer-${writer}` })),
        );
        assert.equal(won.length, 1);
        assert.equal((await store.namespaces.get(namespace))?.claimedBy, `writer-${won[0]}`);
      }
    });
  });

  describe('nonces', () => {
    it('keeps the first use of a signature and gives it to everybody who asks later', async () => {
      const entry = nonceOf();
      assert.deepStrictEqual(await store.nonces.remember(entry), entry);
      const other = { ...entry, correlationId: 'c-2', digest: 'd-2', replyAddress: 'elsewhere' };
      assert.deepStrictEqual(await store.nonces.remember(other), entry);
    });

    it('sets an outcome once, and none for a signature it does not know', async () => {
      const entry = nonceOf();
      await store.nonces.remember(entry);
      assert.equal(await store.nonces.recordOutcome(entry.key, '{"first":"✓"}'), '{"first":"✓"}');
      assert.equal(await store.nonces.recordOutcome(entry.key, '{"second":true}'), '{"first":"✓"}');
      assert.deepStrictEqual(await store.nonces.remember(entry), { ...entry, outcome: '{"first":"✓"}' });
      const unknown = nonceOf();
      assert.equal(await store.nonces.recordOutcome(unknown.key, '{}'), undefined);
      assert.deepStrictEqual(await store.nonces.remember(unknown), unknown);
    });

    it('sets one of two outcomes that race', async () => {
      const entry = nonceOf();
      await store.nonces.remember(entry);
      const stores = [store, await place.another()];
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

    it('keeps exactly one of the uses that race, and gives all of them that one', async function () {
      this.timeout(120_000);
      const stores = [store, await place.another()];
      for (let round = 0; round < rounds; round++) {
        const key = unique('nonce');
        const answers = await Promise.all(
          writers().map((writer) =>
            pick(stores, writer).nonces.remember(nonceOf({ key, correlationId: `c-${writer}` })),
          ),
        );
        assert.equal(new Set(answers.map((answer) => answer.correlationId)).size, 1);
        assert.equal((await store.nonces.remember(nonceOf({ key }))).correlationId, answers[0]?.correlationId);
      }
    });

    it('prunes what can no longer be accepted, and says how many', async () => {
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
  });

  describe('the audit', () =>
    auditContract(
      () => store,
      () => place.another(),
    ));

  describe('notices', () =>
    noticesContract(
      () => store,
      () => place.another(),
      rounds,
    ));

  describe('the store itself', () => {
    it('keeps its random id, and what was written, when it is opened again', async () => {
      assert.match(store.storeId, /^[\w-]{22}$/);
      assert.equal(Buffer.from(store.storeId, 'base64url').length, 16);
      const { storeId } = store;
      const [record, nonce, notice] = [firstRecord(), nonceOf(), firstNotice()];
      await store.namespaces.insert(record);
      await store.nonces.remember(nonce);
      await store.notices.add(notice);
      const audited = auditOf();
      await store.audit.append([audited]);
      const reopened = await place.reopen();
      assert.equal(reopened.storeId, storeId);
      assert.deepStrictEqual(await reopened.namespaces.get(record.namespace), record);
      assert.deepStrictEqual(await reopened.nonces.remember({ ...nonce, correlationId: 'later' }), nonce);
      assert.deepStrictEqual(await reopened.notices.due({ beforeMs: NOW_MS, limit: 9 }), [notice]);
      assert.deepStrictEqual(await reopened.audit.list({ limit: 9 }), [audited]);
      assert.notEqual((await make()).store.storeId, storeId);
    });

    it('answers a check', async () => {
      await store.check();
    });

    it('gives StoreUnavailable for everything once it is closed, and closes twice', async () => {
      await store.namespaces.insert(firstRecord());
      await store.close();
      await assertUnavailable(store);
      await store.close();
    });

    it('closes while calls are under way: each is answered or refused', async () => {
      const calls = writers().flatMap((writer) => [
        store.namespaces.insert(firstRecord({ namespace: `taskcluster-${writer}` })),
        store.nonces.remember(nonceOf({ key: 'the same' })),
        store.nonces.prune(NOW_MS),
        store.notices.add(firstNotice({ id: 'the same' })),
        store.audit.append([auditOf({ id: 'the same' })]),
      ]);
      const settled = Promise.allSettled(calls);
      await store.close();
      for (const result of await settled) {
        if (result.status === 'rejected') assert.equal(result.reason.code, 'StoreUnavailable', result.reason.stack);
      }
    });
  });
}

/** Every method of `store` throws `StoreUnavailable`. */
export async function assertUnavailable(store: Store): Promise<void> {
  const { namespaces, nonces, notices, audit } = store;
  const due = { states: ['active'], beforeMs: NOW_MS, limit: 1 } as const;
  const calls: Record<string, () => Promise<unknown>> = {
    get: () => namespaces.get('taskcluster-x'),
    insert: () => namespaces.insert(firstRecord()),
    replace: () => namespaces.replace(firstRecord({ revision: 2 }), 1),
    remove: () => namespaces.remove('taskcluster-x', 1),
    list: () => namespaces.list({ limit: 1 }),
    dueForRotation: () => namespaces.dueForRotation(due),
    dueForExpiry: () => namespaces.dueForExpiry(due),
    remember: () => nonces.remember(nonceOf()),
    recordOutcome: () => nonces.recordOutcome('x', '{}'),
    prune: () => nonces.prune(NOW_MS),
    'audit.append': () => audit.append([auditOf()]),
    'audit.list': () => audit.list({ limit: 1 }),
    'audit.prune': () => audit.prune(NOW_MS),
    'notices.add': () => notices.add(firstNotice()),
    'notices.get': () => notices.get('x'),
    'notices.replace': () => notices.replace(firstNotice({ revision: 2 }), 1),
    'notices.due': () => notices.due({ beforeMs: NOW_MS, limit: 1 }),
    'notices.countWaiting': () => notices.countWaiting(),
    'notices.prune': () => notices.prune(NOW_MS),
    check: () => store.check(),
  };
  await Promise.all(
    Object.entries(calls).map(async ([name, call]) => {
      await assert.rejects(call(), { name: 'StoreUnavailable', code: 'StoreUnavailable' }, name);
    }),
  );
}

function namesOf(records: readonly NamespaceRecord[]): string[] {
  return records.map((record) => record.namespace);
}

function writers(): number[] {
  return Array.from({ length: WRITERS }, (_, index) => index);
}

/** Which of the writers, all at once, were told that they have won. */
async function race(write: (writer: number) => Promise<boolean>): Promise<number[]> {
  const won = await Promise.all(writers().map(write));
  return writers().filter((writer) => won[writer]);
}

function pick(stores: readonly Store[], index: number): Store {
  const store = stores[index % stores.length];
  assert.ok(store !== undefined);
  return store;
}
