import assert from 'node:assert/strict';
import { auditContract, auditOf } from './audit-contract.ts';
import { firstRecord, namespacesContract } from './namespaces-contract.ts';
import { noncesContract, nonceOf } from './nonces-contract.ts';
import { firstNotice, noticesContract } from './notices-contract.ts';
import { writers } from './racing-writers.ts';
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

/** The promises of the port, which every adapter keeps. */
export function storeContract(make: MakeStore, rounds: number): void {
  let store: Store;
  let place: ContractPlace;
  beforeEach('make a store', async () => {
    ({ store, place } = await make());
  });

  describe('namespaces', () =>
    namespacesContract(
      () => store,
      () => place.another(),
      rounds,
    ));

  describe('nonces', () =>
    noncesContract(
      () => store,
      () => place.another(),
      rounds,
    ));

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
    it('keeps its random id and its records when it is opened again', async () => {
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

    it('fails with StoreUnavailable when it is closed, and can be closed twice', async () => {
      await store.namespaces.insert(firstRecord());
      await store.close();
      await assertUnavailable(store);
      await store.close();
    });

    it('can be closed during calls: each succeeds or fails with StoreUnavailable', async () => {
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
    'nonces.get': () => nonces.get('x'),
    'insert with a nonce': () => namespaces.insert(firstRecord(), { entry: nonceOf(), isOrderFree: false }),
    'replace with a nonce': () =>
      namespaces.replace(firstRecord({ revision: 2 }), 1, { entry: nonceOf(), isOrderFree: true }),
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
