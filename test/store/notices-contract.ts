import assert from 'node:assert/strict';
import { unique } from '../support/folders.ts';
import { noticeOf } from '../support/records.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import type { Store } from '../../src/store/store.ts';

const NOW_MS = Date.parse('2026-11-24T12:00:00.123Z');
const WRITERS = 16;

/** A notice as the first write leaves it. */
export function firstNotice(given: Partial<Notice> = {}): Notice {
  return noticeOf(NOW_MS, { id: unique('notice'), ...given });
}

/**
 * The promises of the outbox of notices, which every adapter keeps.
 *
 * @param storeOf the store of the test that runs
 * @param another another agent's access to it
 */
export function noticesContract(storeOf: () => Store, another: () => Promise<Store>, rounds: number): void {
  const idsOf = (notices: readonly Notice[]): string[] => notices.map(({ id }) => id);

  it('returns a whole notice as it was written', async () => {
    const { notices } = storeOf();
    const queue = 'queue/taskcluster-x/Ünï "✓" \u0000 🐇';
    const sizes = { bytes: 2 ** 50, warnAtBytes: 2 ** 30, deleteAtBytes: 2 ** 31 };
    const settled = firstNotice({
      queue,
      ...sizes,
      state: 'failed',
      attempts: 7,
      lastError: 'HTTP 500',
      settledMs: NOW_MS + 9,
    });
    const { id, nextAttemptMs: _, ...item } = firstNotice();
    const gathered = firstNotice({
      state: 'gathered',
      batchOf: 'another',
      forecast: { unit: 'bytes', perMinute: -0.5, reachedMs: null },
      peakMessages: 7,
      peakBytes: 2 ** 40,
      batch: { queues: 2, parts: [{ namespace: 'n', incarnation: 'i', notices: [id] }], listed: [{ ...item }] },
    });
    for (const notice of [firstNotice(), settled, gathered]) {
      assert.deepStrictEqual(await notices.add(notice), notice);
      assert.deepStrictEqual(await notices.get(notice.id), notice);
    }
    assert.equal(await notices.get('unknown'), undefined);
  });

  it('keeps the first notice with an id, and returns it when that id is added again', async () => {
    const { notices } = storeOf();
    const first = firstNotice();
    await notices.add(first);
    assert.deepStrictEqual(await notices.add({ ...first, messages: 1, contact: 'other@example.org' }), first);
    const sent = { ...first, revision: 2, state: 'sent', settledMs: NOW_MS } as const;
    await notices.replace(sent, 1);
    assert.deepStrictEqual(await notices.add(first), sent);
  });

  it('replaces only a notice with the expected revision, and refuses a revision that is not the next one', async () => {
    const { notices } = storeOf();
    const first = firstNotice();
    await assert.rejects(notices.add({ ...first, revision: 2 }), RangeError);
    assert.equal(await notices.replace({ ...first, revision: 2 }, 1), false);
    await notices.add(first);
    await assert.rejects(notices.replace(first, 1), RangeError);
    assert.equal(await notices.replace({ ...first, revision: 2, attempts: 1 }, 1), true);
    assert.equal(await notices.replace({ ...first, revision: 2, attempts: 9 }, 1), false);
    assert.equal((await notices.get(first.id))?.attempts, 1);
  });

  it('lists the due notices, and only waiting ones, in the order of their time', async () => {
    const { notices } = storeOf();
    const instants = [50, 10, 30, 30, 20];
    for (const [index, instant] of instants.entries()) {
      await notices.add(firstNotice({ id: `n-${index}`, nextAttemptMs: NOW_MS + instant }));
    }
    for (const state of ['held', 'sent', 'failed', 'withdrawn'] as const) {
      await notices.add(firstNotice({ id: state, state }));
    }
    const due = async (ms: number, limit = 9): Promise<string[]> =>
      idsOf(await notices.due({ beforeMs: NOW_MS + ms, limit }));
    await notices.add(firstNotice({ id: 'n-5', state: 'gathered', nextAttemptMs: NOW_MS + 60 }));
    assert.deepStrictEqual(await due(100), ['n-1', 'n-4', 'n-2', 'n-3', 'n-0', 'n-5']);
    assert.deepStrictEqual(await due(30), ['n-1', 'n-4', 'n-2', 'n-3']);
    assert.deepStrictEqual(await due(29), ['n-1', 'n-4']);
    assert.deepStrictEqual(await due(100, 2), ['n-1', 'n-4']);
    assert.deepStrictEqual(await due(100, 0), []);
    assert.equal(await notices.countWaiting(), 6);
  });

  it('lists by the replaced notice, and not by a replacement that failed', async () => {
    const { notices } = storeOf();
    const first = firstNotice({ state: 'held', nextAttemptMs: NOW_MS });
    const due = async (): Promise<string[]> => idsOf(await notices.due({ beforeMs: NOW_MS + 10, limit: 9 }));
    await notices.add(first);
    assert.deepStrictEqual(await due(), []);
    await notices.replace({ ...first, revision: 2, state: 'waiting' }, 1);
    assert.deepStrictEqual(await due(), [first.id]);
    await notices.replace({ ...first, revision: 3, state: 'waiting', nextAttemptMs: NOW_MS + 11 }, 2);
    await notices.replace({ ...first, revision: 3, state: 'waiting', nextAttemptMs: NOW_MS + 1 }, 2);
    assert.deepStrictEqual(await due(), []);
    assert.equal(await notices.countWaiting(), 1);
    await notices.replace({ ...first, revision: 4, state: 'sent', nextAttemptMs: NOW_MS, settledMs: NOW_MS }, 3);
    assert.deepStrictEqual(await due(), []);
    assert.equal(await notices.countWaiting(), 0);
  });

  it('lets exactly one of several agents start an attempt, every time', async function () {
    this.timeout(120_000);
    const stores = [storeOf(), await another()] as const;
    for (let round = 0; round < rounds; round++) {
      const notice = firstNotice();
      const added = await Promise.all(
        Array.from({ length: WRITERS }, (_, writer) =>
          stores[writer % 2 === 0 ? 0 : 1].notices.add({ ...notice, messages: writer }),
        ),
      );
      assert.equal(new Set(added.map(({ messages }) => messages)).size, 1);
      const won = await Promise.all(
        added.map((kept, writer) =>
          stores[writer % 2 === 0 ? 0 : 1].notices.replace({ ...kept, revision: 2, attempts: writer + 1 }, 1),
        ),
      );
      assert.equal(won.filter(Boolean).length, 1);
      assert.equal((await stores[0].notices.get(notice.id))?.attempts, won.indexOf(true) + 1);
    }
  });

  it('prunes notices that were settled before, or held for too long, and returns how many', async () => {
    const { notices } = storeOf();
    await notices.add(firstNotice({ id: 'waits', nextAttemptMs: 0 }));
    await notices.add(firstNotice({ id: 'held', state: 'held', seenMs: NOW_MS + 20 }));
    await notices.add(firstNotice({ id: 'held-long', state: 'held', seenMs: NOW_MS }));
    const released = firstNotice({ id: 'released', state: 'held', seenMs: NOW_MS });
    await notices.add(released);
    await notices.replace({ ...released, revision: 2, state: 'waiting' }, 1);
    for (const ms of [1, 2, 3]) {
      await notices.add(firstNotice({ id: `settled-${ms}`, state: 'sent', settledMs: NOW_MS + ms }));
    }
    assert.equal(await notices.prune(NOW_MS + 3), 3);
    assert.equal(await notices.prune(NOW_MS + 3), 0);
    assert.equal(await notices.get('settled-2'), undefined);
    assert.equal(await notices.get('held-long'), undefined);
    for (const id of ['waits', 'held', 'released', 'settled-3']) assert.equal((await notices.get(id))?.id, id);
    const counts = await Promise.all([notices.prune(NOW_MS + 9), notices.prune(NOW_MS + 9)]);
    assert.equal(counts[0] + counts[1], 1);
  });
}
