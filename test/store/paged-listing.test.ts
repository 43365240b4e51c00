import assert from 'node:assert/strict';
import { namespacePages, type PageOptions } from '../../src/store/paged-listing.ts';
import type { NamespaceState } from '../../src/store/namespace-record.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { recordOf } from '../support/records.ts';

const { signal } = new AbortController();

describe('the namespaces in pages', () => {
  const store = createMemoryStore();
  before(() => {
    for (const [index, state] of (['active', 'deleted', 'active', 'active', 'deleted', 'active'] as const).entries()) {
      store.put(recordOf(0, { namespace: `taskcluster-${index}`, state: state satisfies NamespaceState }));
    }
  });

  const pages = async (options: PageOptions, aborting = signal): Promise<string[]> => {
    const found: string[] = [];
    for await (const page of namespacePages(store.namespaces, aborting, options)) {
      found.push(page.map(({ namespace }) => namespace.slice(-1)).join(''));
    }
    return found;
  };

  it('are all of them, each once, and no empty page', async () => {
    assert.deepEqual(await pages({}), ['012345']);
    assert.deepEqual(await pages({ limit: 4 }), ['0123', '45']);
    assert.deepEqual(await pages({ limit: 3 }), ['012', '345']);
    assert.deepEqual(await pages({ after: 'taskcluster-5' }), []);
  });

  it('are those after a name, in certain states', async () => {
    assert.deepEqual(await pages({ after: 'taskcluster-0', states: ['active'], limit: 2 }), ['23', '5']);
  });

  it('end with the signal', async () => {
    await assert.rejects(pages({}, AbortSignal.abort(new Error('It is not wanted.'))), /It is not wanted/);
  });
});
