import assert from 'node:assert/strict';
import { createExemptQueues } from '../../../src/namespaces/deletion/exempt-queues.ts';
import { createExemptionAnnouncer } from '../../../src/namespaces/deletion/announce-exemptions.ts';
import { AgentError } from '../../../src/util/agent-errors.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { exemptionOf } from '../../support/records.ts';

const { signal } = new AbortController();
const UNTIL = exemptionOf().untilMs;

describe('createExemptQueues', () => {
  it('shares a reading between calls, which began after each of them', async () => {
    const { queueExemptions } = createMemoryStore();
    const reads: string[] = [];
    const releases: (() => void)[] = [];
    const releaseNext = async (): Promise<void> => {
      while (releases.length === 0) await Promise.resolve();
      releases.pop()?.();
    };
    const slow = {
      async list(page: { readonly limit: number }) {
        reads.push('read');
        const found = await queueExemptions.list(page);
        await new Promise<void>((resolve) => releases.push(resolve));
        return found;
      },
    };
    const exempt = createExemptQueues(slow, { earliestMs: () => UNTIL - 1 });
    const first = exempt.read();
    while (releases.length === 0) await Promise.resolve();
    // The first reading may have missed it.
    await queueExemptions.insert(exemptionOf());
    const later = [exempt.read(), exempt.read(), exempt.read()];
    await releaseNext();
    assert.equal((await first).size, 0);
    await releaseNext();
    for (const read of later) assert.deepEqual([...(await read).keys()], [exemptionOf().queue]);
    assert.equal(reads.length, 2);
  });

  it('reads again after a failure', async () => {
    const { queueExemptions } = createMemoryStore();
    let fails = true;
    const failing = {
      list: (page: { readonly limit: number }) =>
        fails ? Promise.reject(new AgentError('StoreUnavailable', 'down')) : queueExemptions.list(page),
    };
    const exempt = createExemptQueues(failing, { earliestMs: () => 0 });
    await assert.rejects(exempt.read(), { code: 'StoreUnavailable' });
    fails = false;
    assert.equal((await exempt.read()).size, 0);
  });

  it('returns those that hold', async () => {
    const { queueExemptions } = createMemoryStore();
    await queueExemptions.insert(exemptionOf());
    await queueExemptions.insert(exemptionOf({ queue: 'queue/taskcluster-x/ended', untilMs: 0 }));
    let nowMs = UNTIL - 1;
    const exempt = createExemptQueues(queueExemptions, { earliestMs: () => nowMs });
    assert.deepEqual([...(await exempt.read()).keys()], [exemptionOf().queue]);
    nowMs = UNTIL;
    assert.equal((await exempt.read()).size, 0);
  });
});

describe('createExemptionAnnouncer', () => {
  it('publishes each beginning and end once, also a new end, and removes what has ended', async () => {
    const { queueExemptions } = createMemoryStore();
    const published: string[] = [];
    let nowMs = UNTIL - 10;
    const announce = createExemptionAnnouncer(queueExemptions, {
      bounds: { earliestMs: () => nowMs, latestMs: () => nowMs },
      reporters: {
        queueExempted: async ({ untilMs }: { untilMs: number }) => void published.push(`exempted ${untilMs - UNTIL}`),
        queueExemptionEnded: async ({ untilMs }: { untilMs: number }) => void published.push(`ended ${untilMs}`),
      } as never,
    });
    const first = exemptionOf();
    await queueExemptions.insert(first);
    await announce(signal);
    await announce(signal);
    const known = await queueExemptions.get(first.queue);
    assert.ok(known);
    await queueExemptions.replace({ ...known, revision: 3, untilMs: UNTIL + 5 }, 2);
    await announce(signal);
    await announce(signal);
    nowMs = UNTIL + 5;
    await announce(signal);
    assert.deepEqual(published, ['exempted 0', 'exempted 5', `ended ${UNTIL + 5}`]);
    assert.equal(await queueExemptions.get(first.queue), undefined);
    // One that was ended before it was published.
    await queueExemptions.insert(exemptionOf({ untilMs: 0 }));
    await announce(signal);
    assert.equal(published.length, 3);
    assert.equal(await queueExemptions.get(first.queue), undefined);
  });
});
