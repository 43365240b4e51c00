import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { NamespaceState } from '../../src/store/namespace-record.ts';
import type { Store } from '../../src/store/store.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import type { NoticeState } from '../../src/store/notice-records.ts';
import { auditOf } from './audit-contract.ts';
import { firstNotice } from './notices-contract.ts';
import { firstRecord } from './namespaces-contract.ts';
import { nonceOf } from './nonces-contract.ts';
import type { MakeStore } from './store-contract.ts';

/** One operation, on any store that keeps the port's promises. */
type Operation = (store: Store) => Promise<unknown>;

const name = fc.constantFrom('t-a', 't-B', 't-_', 't-1');
const state = fc.constantFrom<NamespaceState>('provisioning', 'active', 'expiring', 'deleted');
const states = fc.subarray<NamespaceState>(['provisioning', 'active', 'expiring', 'deleted']);
const revision = fc.integer({ min: 1, max: 4 });
const instant = fc.integer({ min: 0, max: 6 });
const limit = fc.integer({ min: 0, max: 4 });
const key = fc.constantFrom('n-1', 'n-2', 'n-3');
const holder = fc.constantFrom('client/a', 'client/aa', '');
const text = fc.option(fc.string({ unit: 'grapheme' }), { nil: null });

const due = fc.record({ states, beforeMs: instant, limit });
const record = fc
  .record({ namespace: name, state, claimedBy: holder, nextRotationMs: instant, expiresMs: instant, contact: text })
  .map(firstRecord);

const id = fc.constantFrom('m-1', 'm-2', 'm-3');
const notice = fc
  .record({
    id,
    state: fc.constantFrom<NoticeState>('held', 'waiting', 'gathered', 'sent', 'failed', 'withdrawn'),
    nextAttemptMs: instant,
    seenMs: instant,
    settledMs: fc.option(instant, { nil: null }),
  })
  // As the agent writes them: what is settled, and nothing else, has the instant of that.
  .map((given) =>
    firstNotice(
      given.state === 'held' || given.state === 'waiting'
        ? { ...given, settledMs: null }
        : { ...given, settledMs: given.settledMs ?? 0 },
    ),
  );

// Writing one again changes nothing: what has the same id is the same.
const auditRecord = fc
  .integer({ min: 1, max: 6 })
  .map((number) =>
    auditOf({ id: `a-${number}`, atMs: number % 4, namespace: [null, 't-a', 't-B'][number % 3] ?? null }),
  );
const auditQuery = fc.record(
  {
    namespace: name,
    sinceMs: instant,
    untilMs: instant,
    before: fc.record({ atMs: instant, id: fc.constantFrom('a-1', 'a-3', 'a-5') }),
    limit,
  },
  { requiredKeys: ['limit'] },
);

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
  holder.map((clientId): [string, Operation] => [
    `countHeldBy ${clientId}`,
    (store) => store.namespaces.countHeldBy(clientId),
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
  notice.map((given): [string, Operation] => [`add ${JSON.stringify(given)}`, (store) => store.notices.add(given)]),
  fc
    .tuple(notice, revision)
    .map(([given, expected]): [string, Operation] => [
      `replace ${given.id} ${expected} ${given.state}`,
      (store) => store.notices.replace({ ...given, revision: expected + 1 }, expected),
    ]),
  fc
    .tuple(instant, limit)
    .map(([beforeMs, most]): [string, Operation] => [
      `notices due ${beforeMs} ${most}`,
      (store) => store.notices.due({ beforeMs, limit: most }),
    ]),
  fc
    .array(auditRecord, { maxLength: 4 })
    .map((records): [string, Operation] => [
      `audit append ${records.map(({ id: each }) => each).join()}`,
      (store) => store.audit.append(records),
    ]),
  auditQuery.map((query): [string, Operation] => [
    `audit list ${JSON.stringify(query)}`,
    (store) => store.audit.list(query),
  ]),
  instant.map((beforeMs): [string, Operation] => [`audit prune ${beforeMs}`, (store) => store.audit.prune(beforeMs)]),
  fc.constant<[string, Operation]>(['countWaiting', (store) => store.notices.countWaiting()]),
  instant.map((beforeMs): [string, Operation] => [
    `notices prune ${beforeMs}`,
    (store) => store.notices.prune(beforeMs),
  ]),
  instant.map((beforeMs): [string, Operation] => [`prune ${beforeMs}`, (store) => store.nonces.prune(beforeMs)]),
);

/** Any sequence of operations has the outcomes that it has in memory. */
export function storeModel(make: MakeStore, runs: number): void {
  it('behaves as a store in memory for any sequence of operations', async function () {
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
  for (const left of ['m-1', 'm-2', 'm-3']) {
    const known = await store.notices.get(left);
    if (known === undefined) continue;
    await store.notices.replace(
      { ...known, revision: known.revision + 1, state: 'sent', settledMs: 0 },
      known.revision,
    );
  }
  await store.notices.prune(1000);
  await store.audit.prune(1000);
  for (const left of await store.namespaces.list({ limit: 100 })) {
    await store.namespaces.remove(left.namespace, left.revision);
  }
}
