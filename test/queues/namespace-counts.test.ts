import assert from 'node:assert/strict';
import type { ListedQueue } from '../../src/broker/management/management.ts';
import { createNamespaceCounts } from '../../src/queues/namespace-counts.ts';
import { createManualClock } from '../support/manual-clock.ts';

const NOTHING = { queues: 0, messages: 0, uncountedQueues: 0, connections: 0 };

/** Counts on a broker whose listings a test holds back, lets fail, and counts. */
function makeRoom() {
  const clock = createManualClock();
  const state: {
    queues: ListedQueue[];
    users: string[];
    listings: number;
    failure: Error | undefined;
    held: Promise<void> | undefined;
  } = {
    queues: [],
    users: [],
    listings: 0,
    failure: undefined,
    held: undefined,
  };
  const logged: unknown[] = [];
  const read = createNamespaceCounts({
    clock,
    config: { vhost: '/', namespacePrefix: 'taskcluster-', usernamePrefix: 'u-' },
    log: { debug: (fields: unknown) => void logged.push(fields) },
    management: {
      async visitQueues(_vhost, visit) {
        state.listings += 1;
        await state.held;
        if (state.failure) throw state.failure;
        for (const queue of state.queues) visit(queue);
      },
      listOpenConnections: async () => state.users.map((user, index) => ({ name: String(index), user })),
    },
  });
  return { clock, state, logged, read };
}

/** Lets a listing that runs in the background end. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('the counts of namespaces', () => {
  it('are the queues, messages and connections of each, from one listing', async () => {
    const { clock, state, read } = makeRoom();
    state.queues = [
      { name: 'queue/taskcluster-a/1', messages: 5 },
      { name: 'queue/taskcluster-a/2', messages: 7 },
      { name: 'queue/taskcluster-a/stream' },
      { name: 'queue/taskcluster-b/1', messages: 0 },
      { name: 'queue/other/1', messages: 9 },
      { name: 'pulse', messages: 9 },
    ];
    state.users = [
      'u-taskcluster-a-1',
      'u-taskcluster-a-2',
      'u-taskcluster-a-1',
      'taskcluster-b-1',
      'u-taskcluster-b-3',
    ];
    const counts = await read();
    assert.equal(counts?.seenMs, clock.nowMs());
    assert.deepEqual(counts.of('taskcluster-a'), { queues: 3, messages: 12, uncountedQueues: 1, connections: 3 });
    assert.deepEqual(counts.of('taskcluster-b'), { ...NOTHING, queues: 1 });
    assert.deepEqual(counts.of('taskcluster-c'), NOTHING);
  });

  it('are shared by all requests for 5 s, and renewed in the background from half of that on', async () => {
    const { clock, state, read } = makeRoom();
    await Promise.all([read(), read(), read()]);
    clock.advance(2_499);
    await read();
    assert.equal(state.listings, 1);
    clock.advance(1);
    state.queues = [{ name: 'queue/taskcluster-a/1', messages: 1 }];
    assert.equal((await read())?.of('taskcluster-a').queues, 0, 'the earlier ones, without waiting');
    await settled();
    assert.equal((await read())?.of('taskcluster-a').queues, 1);
    assert.equal(state.listings, 2);
  });

  it('are awaited where they are older', async () => {
    const { clock, state, read } = makeRoom();
    await read();
    clock.advance(5_000);
    state.queues = [{ name: 'queue/taskcluster-a/1', messages: 1 }];
    const counts = await read();
    assert.equal(counts?.of('taskcluster-a').queues, 1);
    assert.equal(counts.seenMs, clock.nowMs());
  });

  it('are kept for longer where a listing takes long', async () => {
    const { clock, state, read } = makeRoom();
    let release = (): void => undefined;
    state.held = new Promise((resolve) => (release = resolve));
    const first = read();
    clock.advance(1_000);
    release();
    await first;
    clock.advance(8_000);
    await read();
    assert.equal(state.listings, 1, 'half of 20 s have not passed since it began');
    clock.advance(1_000);
    await read();
    assert.equal(state.listings, 2);
  });

  it('are the earlier ones while the broker fails, with their instant, and unknown after two minutes', async () => {
    const { clock, state, logged, read } = makeRoom();
    const seenMs = (await read())?.seenMs;
    state.failure = new Error('no broker');
    clock.advance(60_000);
    assert.equal((await read())?.seenMs, seenMs);
    assert.equal(logged.length, 1);
    await read();
    assert.equal(state.listings, 2, 'a failed listing is not tried again immediately');
    clock.advance(60_001);
    assert.equal(await read(), undefined);
    state.failure = undefined;
    clock.advance(5_000);
    assert.notEqual(await read(), undefined);
  });

  it('do not delay requests while a listing hangs', async function () {
    this.timeout(20_000);
    const { clock, state, read } = makeRoom();
    let release = (): void => undefined;
    state.held = new Promise((resolve) => (release = resolve));
    const first = read();
    clock.advance(2_000);
    assert.equal(await read(), undefined, 'the patience is that of the listing, not of each request');
    assert.equal(await first, undefined);
    assert.equal(state.listings, 1);
    release();
    await settled();
    assert.notEqual(await read(), undefined);
  });
});
