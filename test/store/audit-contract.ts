import assert from 'node:assert/strict';
import { unique } from '../support/folders.ts';
import type { AuditRecord } from '../../src/store/audit-records.ts';
import type { Store } from '../../src/store/store.ts';

const NOW_MS = Date.parse('2026-11-24T12:00:00.123Z');

/** A record of the audit, but for what is given. */
export function auditOf(given: Partial<AuditRecord> = {}): AuditRecord {
  return {
    id: unique('audit'),
    atMs: NOW_MS,
    instance: 'host-1',
    actor: 'client',
    actorName: 'project/x',
    userId: null,
    action: 'claim',
    namespace: 'taskcluster-x',
    subject: null,
    reason: 'first claim',
    outcome: 'done',
    requestId: 'c-1',
    details: {},
    ...given,
  };
}

/**
 * The promises of the audit, which every adapter keeps.
 *
 * @param storeOf the store of the test that runs
 * @param another another agent's access to it
 */
export function auditContract(storeOf: () => Store, another: () => Promise<Store>): void {
  const idsOf = (records: readonly AuditRecord[]): string[] => records.map(({ id }) => id);

  it('returns whole records as they were written, in the order of their time', async () => {
    const { audit } = storeOf();
    const full = auditOf({
      atMs: NOW_MS + 1,
      actor: 'agent',
      userId: 'user-1',
      namespace: null,
      subject: 'queue/taskcluster-x/Ünï "✓" 🐇',
      requestId: null,
      details: { text: 'ü', number: 1.5, yes: true, none: null },
    });
    const plain = auditOf();
    await audit.append([full, plain]);
    assert.deepStrictEqual(await audit.list({ limit: 9 }), [plain, full]);
    await audit.append([]);
  });

  it('accepts a record that is there already, and the new ones with it', async () => {
    const { audit } = storeOf();
    const [first, second, third] = [1, 2, 3].map((ms) => auditOf({ atMs: NOW_MS + ms }));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    await audit.append([first, second]);
    await audit.append([second, third, first]);
    await audit.append([first]);
    assert.deepStrictEqual(await audit.list({ limit: 9 }), [first, second, third]);
  });

  it('keeps the records that several agents add concurrently', async () => {
    const stores = [storeOf(), await another()] as const;
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        stores[index % 2 === 0 ? 0 : 1].audit.append(
          Array.from({ length: 25 }, () => auditOf({ atMs: NOW_MS + index })),
        ),
      ),
    );
    assert.equal((await storeOf().audit.list({ limit: 1000 })).length, 500);
  });

  describe('lists', () => {
    beforeEach(async () => {
      await storeOf().audit.append([
        auditOf({ id: 'b', atMs: NOW_MS }),
        auditOf({ id: 'a', atMs: NOW_MS }),
        auditOf({ id: 'c', atMs: NOW_MS + 1, namespace: 'taskcluster-y' }),
        auditOf({ id: 'd', atMs: NOW_MS + 2, namespace: null }),
        auditOf({ id: 'e', atMs: NOW_MS + 3, namespace: 'taskcluster-x-2' }),
        auditOf({ id: 'f', atMs: NOW_MS + 4 }),
      ]);
    });
    const list = async (query: Parameters<Store['audit']['list']>[0]): Promise<string[]> =>
      idsOf(await storeOf().audit.list(query));

    it('the newest, in ascending order', async () => {
      assert.deepStrictEqual(await list({ limit: 9 }), ['a', 'b', 'c', 'd', 'e', 'f']);
      assert.deepStrictEqual(await list({ limit: 2 }), ['e', 'f']);
      assert.deepStrictEqual(await list({ limit: 0 }), []);
    });

    it('those of one namespace and of a span of time', async () => {
      assert.deepStrictEqual(await list({ namespace: 'taskcluster-x', limit: 9 }), ['a', 'b', 'f']);
      assert.deepStrictEqual(await list({ namespace: 'taskcluster-x', limit: 2 }), ['b', 'f']);
      assert.deepStrictEqual(await list({ namespace: 'taskcluster', limit: 9 }), []);
      assert.deepStrictEqual(await list({ sinceMs: NOW_MS + 1, untilMs: NOW_MS + 3, limit: 9 }), ['c', 'd']);
      assert.deepStrictEqual(await list({ namespace: 'taskcluster-x', sinceMs: NOW_MS + 1, limit: 9 }), ['f']);
      assert.deepStrictEqual(await list({ namespace: 'taskcluster-x', untilMs: NOW_MS + 4, limit: 9 }), ['a', 'b']);
      assert.deepStrictEqual(await list({ sinceMs: NOW_MS + 5, limit: 9 }), []);
      assert.deepStrictEqual(await list({ untilMs: NOW_MS, limit: 9 }), []);
    });

    it('page by page, from the newest to the oldest', async () => {
      for (const namespace of [undefined, 'taskcluster-x']) {
        const seen: string[] = [];
        for (let before: AuditRecord | undefined; ; ) {
          const page = await storeOf().audit.list({
            limit: 1,
            ...(namespace === undefined ? {} : { namespace }),
            ...(before === undefined ? {} : { before }),
          });
          [before] = page;
          if (before === undefined) break;
          seen.push(before.id);
        }
        assert.deepStrictEqual(seen, namespace === undefined ? ['f', 'e', 'd', 'c', 'b', 'a'] : ['f', 'b', 'a']);
      }
      const before = { atMs: NOW_MS + 3, id: 'e' };
      assert.deepStrictEqual(await list({ before, untilMs: NOW_MS + 2, limit: 9 }), ['a', 'b', 'c']);
    });
  });

  it('prunes older records, and returns how many', async () => {
    const { audit } = storeOf();
    await audit.append([1, 2, 3].map((ms) => auditOf({ id: `r-${ms}`, atMs: NOW_MS + ms })));
    await audit.append([auditOf({ id: 'n', atMs: NOW_MS, namespace: null })]);
    assert.equal(await audit.prune(NOW_MS + 3), 3);
    assert.equal(await audit.prune(NOW_MS + 3), 0);
    assert.deepStrictEqual(idsOf(await audit.list({ limit: 9 })), ['r-3']);
    assert.deepStrictEqual(idsOf(await audit.list({ namespace: 'taskcluster-x', limit: 9 })), ['r-3']);
    const counts = await Promise.all([audit.prune(NOW_MS + 9), audit.prune(NOW_MS + 9)]);
    assert.equal(counts[0] + counts[1], 1);
  });

  it('prunes many', async () => {
    const { audit } = storeOf();
    for (let part = 0; part < 3; part += 1) {
      await audit.append(Array.from({ length: 500 }, (_, index) => auditOf({ atMs: NOW_MS + index })));
    }
    assert.equal(await audit.prune(NOW_MS + 499), 1497);
    assert.equal((await audit.list({ limit: 9 })).length, 3);
  });
}
