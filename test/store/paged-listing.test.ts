import assert from 'node:assert/strict';
import { namespacePages, type PageOptions, queueAlertPages, readAuditRecords } from '../../src/store/paged-listing.ts';
import type { NamespaceState } from '../../src/store/namespace-record.ts';
import type { AuditQuery, AuditRecord } from '../../src/store/audit-records.ts';
import type { AlertPage, QueueAlert } from '../../src/store/queue-alert-records.ts';
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

  it('have all of them once, and no empty page', async () => {
    assert.deepEqual(await pages({}), ['012345']);
    assert.deepEqual(await pages({ limit: 4 }), ['0123', '45']);
    assert.deepEqual(await pages({ limit: 3 }), ['012', '345']);
    assert.deepEqual(await pages({ after: 'taskcluster-5' }), []);
  });

  it('have those after a name, in certain states', async () => {
    assert.deepEqual(await pages({ after: 'taskcluster-0', states: ['active'], limit: 2 }), ['23', '5']);
  });

  it('end with the signal', async () => {
    await assert.rejects(pages({}, AbortSignal.abort(new Error('Cancelled.'))), /Cancelled/);
  });
});

describe('the queue alerts in pages', () => {
  it('are all of them, in the order of their queues', async () => {
    const queues = Array.from({ length: 1500 }, (_, index) => `queue/x/${String(index).padStart(4, '0')}`);
    const calls: unknown[] = [];
    const list = async ({ after, limit }: AlertPage): Promise<QueueAlert[]> => {
      calls.push(after);
      const from = after === undefined ? 0 : queues.indexOf(after) + 1;
      return queues.slice(from, from + limit).map((queue) => ({ queue }) as QueueAlert);
    };
    const found: string[] = [];
    for await (const page of queueAlertPages({ list })) found.push(...page.map(({ queue }) => queue));
    assert.deepEqual(found, queues);
    assert.deepEqual(calls, [undefined, 'queue/x/0999']);
  });
});

describe('audit records that are read in parts', () => {
  const records = Array.from({ length: 1200 }, (_, index) => ({ id: `${index}`, atMs: index }) as AuditRecord);
  const list = async ({ before: end, limit }: AuditQuery): Promise<AuditRecord[]> => {
    const older = end === undefined ? records : records.slice(0, end.atMs);
    return older.slice(-limit);
  };

  it('are the newest, in the order of time', async () => {
    for (const limit of [1, 499, 500, 501, 1000, 1199, 1200, 5000]) {
      assert.deepEqual(await readAuditRecords({ list }, { limit }, signal), records.slice(-limit));
    }
  });
});
