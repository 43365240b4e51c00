import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { NamespaceState } from '../../src/store/records.ts';
import type { Store } from '../../src/store/store.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { firstRecord, type MakeStore, nonceOf } from './store-contract.ts';

/** One operation, on any store that keeps the port's promises. */
type Operation = (store: Store) => Promise<unknown>;

const name = fc.constantFrom('t-a', 't-B', 't-_', 't-1');
const state = fc.constantFrom<NamespaceState>('provisioning', 'active', 'expiring', 'gone');
const states = fc.subarray<NamespaceState>(['provisioning', 'active', 'expiring', 'gone']);
const revision = fc.integer({ min: 1, max: 4 });
const instant = fc.integer({ min: 0, max: 6 });
const limit = fc.integer({ min: 0, max: 4 });
const key = fc.constantFrom('n-1', 'n-2', 'n-3');
const text = fc.option(fc.string({ unit: 'grapheme' }), { nil: null });

const due = fc.record({ states, beforeMs: instant, limit });
const record = fc
  .record({ namespace: name, state, nextRotationMs: instant, expiresMs: instant, contact: text })
  .map(firstRecord);

const operation: fc.Arbitrary<[string, Operation]> = fc.oneof(
  record.map((given): [string, Operation] => [`insert ${given.namespace}`, (store) => store.namespaces.insert(given)]),
  fc
    .tuple(record, revision)
    .map(([given, expected]): [string, Operation] => [
      `replace ${given.namespace} ${expected}`,
      (store) => store.namespaces.replace({ ...given, revision: expected + 1 }, expected),
    ]),
  fc
    .tuple(name, revision)
    .map(([namespace, expected]): [string, Operation] => [
      `remove ${namespace} ${expected}`,
      (store) => store.namespaces.remove(namespace, expected),
    ]),
  name.map((namespace): [string, Operation] => [`get ${namespace}`, (store) => store.namespaces.get(namespace)]),
  fc
    .tuple(name, limit, states)
    .map(([after, most, only]): [string, Operation] => [
      `list after ${after} ${most} ${only.join()}`,
      (store) => store.namespaces.list({ after, limit: most, states: only }),
    ]),
  limit.map((most): [string, Operation] => [`list ${most}`, (store) => store.namespaces.list({ limit: most })]),
  due.map((options): [string, Operation] => [
    `dueForRotation ${JSON.stringify(options)}`,
    (store) => store.namespaces.dueForRotation(options),
  ]),
  due.map((options): [string, Operation] => [
    `dueForExpiry ${JSON.stringify(options)}`,
    (store) => store.namespaces.dueForExpiry(options),
  ]),
  fc
    .tuple(key, instant, name)
    .map(([nonce, acceptableUntilMs, correlationId]): [string, Operation] => [
      `remember ${nonce} ${acceptableUntilMs} ${correlationId}`,
      (store) => store.nonces.remember(nonceOf({ key: nonce, acceptableUntilMs, correlationId })),
    ]),
  fc
    .tuple(key, fc.string())
    .map(([nonce, outcome]): [string, Operation] => [
      `recordOutcome ${nonce} ${outcome}`,
      (store) => store.nonces.recordOutcome(nonce, outcome),
    ]),
  instant.map((beforeMs): [string, Operation] => [`prune ${beforeMs}`, (store) => store.nonces.prune(beforeMs)]),
);

/** Any sequence of operations has the outcomes that it has in memory. */
export function storeModel(make: MakeStore, runs: number): void {
  it('does what a store in memory does, whatever the sequence of operations', async function () {
    this.timeout(180_000);
    const { store } = await make();
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 40 }), async (operations) => {
        const model = createMemoryStore();
        await empty(store);
        for (const [title, apply] of operations) {
          assert.deepStrictEqual(await apply(store), await apply(model), title);
        }
      }),
      { numRuns: runs },
    );
  });
}

async function empty(store: Store): Promise<void> {
  await store.nonces.prune(1000);
  for (const left of await store.namespaces.list({ limit: 100 })) {
    await store.namespaces.remove(left.namespace, left.revision);
  }
}
