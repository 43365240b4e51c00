import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { openLmdbStore } from '../../../src/store/lmdb/lmdb-store.ts';
import type { NamespaceState } from '../../../src/store/namespace-record.ts';
import { namespacePages } from '../../../src/store/paged-listing.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeFolder } from '../../support/folders.ts';
import { recordOf } from '../../support/records.ts';

const { signal } = new AbortController();

describe('namespaces on LMDB', () => {
  it('in rare states are listed in pages by name, without a search through all records', async () => {
    const store = await openLmdbStore({ folder: makeFolder('lmdb'), clock: systemClock, randomBytes });
    addCleanup(() => store.close());
    const stateOf = (index: number): NamespaceState =>
      index % 10 === 3 ? 'deleted' : index % 10 === 7 ? 'expiring' : 'active';
    const indexes = Array.from({ length: 200 }, (_, index) => index);
    const nameOf = (index: number) => `taskcluster-${String(index).padStart(3, '0')}`;
    await Promise.all(
      indexes.map((index) =>
        store.namespaces.insert(
          recordOf(1, { revision: 1, namespace: nameOf(index), state: stateOf(index), expiresMs: 1_000_000 - index }),
        ),
      ),
    );
    const names = async (...states: NamespaceState[]): Promise<string[]> => {
      const found: string[] = [];
      for await (const page of namespacePages(store.namespaces, signal, { states, limit: 3 })) {
        found.push(...page.map(({ namespace }) => namespace));
      }
      return found;
    };
    const expected = (...states: NamespaceState[]) =>
      indexes.filter((index) => states.includes(stateOf(index))).map(nameOf);
    assert.deepEqual(await names('active', 'deleted'), expected('active', 'deleted'));
    const { items } = store.namespaces as unknown as { readonly items: { getRange: unknown } };
    items.getRange = () => assert.fail('It searches through all records.');
    assert.deepEqual(await names('deleted'), expected('deleted'));
    assert.deepEqual(await names('expiring', 'deleted', 'expiring'), expected('deleted', 'expiring'));
    assert.deepEqual(await names('provisioning'), []);
  });
});
