import assert from 'node:assert/strict';
import type { FoundQueue, QueueStatistics } from '../../src/broker/management/queue-search.ts';
import { createObserveNamespace, type NamespaceObservation } from '../../src/queues/observe-namespace.ts';
import { createQueueHistory } from '../../src/queues/queue-history.ts';
import { momentOf } from '../../src/util/clock.ts';
import { createManualClock } from '../support/manual-clock.ts';

const NAMESPACE = 'taskcluster-x';
const QUEUE = `queue/${NAMESPACE}/q`;

/** A broker with the queues of one namespace, and an agent that observes it. */
function makeRoom() {
  const clock = createManualClock();
  const state: {
    queues: FoundQueue[];
    statistics: QueueStatistics[];
    failure: Error | undefined;
    held: Promise<void> | undefined;
    listings: number;
  } = { queues: [], statistics: [], failure: undefined, held: undefined, listings: 0 };
  const history = createQueueHistory(clock);
  const logged: unknown[] = [];
  const observe = createObserveNamespace({
    clock,
    history,
    config: { vhost: '/', usernamePrefix: 'u-' },
    log: { debug: (fields: unknown) => void logged.push(fields) },
    management: {
      async findQueues() {
        state.listings += 1;
        await state.held;
        if (state.failure) throw state.failure;
        return { queues: state.queues, isComplete: true };
      },
      findQueueStatistics: async () => ({ queues: state.statistics, isComplete: true }),
      listUserConnections: async (user) => (user.endsWith('-1') ? [{ name: 'c', user }] : []),
    },
  });
  const holds = (messages: number): void => {
    state.queues = [{ name: QUEUE, messages, ready: messages, unacknowledged: 0 }];
  };
  return { clock, state, history, logged, holds, observe: () => observe(NAMESPACE, 0) };
}

const queueOf = ({ queues }: NamespaceObservation) => queues?.queues[0];

describe('the observation of a namespace', () => {
  it('knows growth from the second observation on, 10 s after the first, and names the instants', async () => {
    const { clock, holds, observe } = makeRoom();
    holds(100);
    const firstMs = clock.nowMs();
    const first = await observe();
    assert.equal(first.connections, 1);
    assert.deepEqual(first.queues?.seenMs, [firstMs]);
    assert.deepEqual(queueOf(first)?.growth, {
      messages: { latest: { amount: 100, seenMs: firstMs } },
      bytes: undefined,
    });
    clock.advance(5_000);
    holds(110);
    const soon = await observe();
    assert.equal(queueOf(soon)?.growth.messages?.earlier, undefined);
    assert.deepEqual(queueOf(soon)?.trend, [100, 110]);
    clock.advance(5_000);
    holds(130);
    const later = await observe();
    assert.deepEqual(queueOf(later)?.growth.messages?.earlier, { amount: 100, seenMs: firstMs });
    assert.deepEqual(later.queues?.seenMs, [firstMs, firstMs + 5_000, firstMs + 10_000]);
    assert.deepEqual(queueOf(later)?.trend, [100, 110, 130]);
  });

  it('measures over the last minute, also after the wall clock was set', async () => {
    const { clock, holds, observe } = makeRoom();
    for (let seconds = 0; seconds <= 80; seconds += 20) {
      holds(seconds);
      await observe();
      clock.advance(20_000);
    }
    clock.setWall(clock.nowMs() - 3_600_000);
    holds(200);
    const latest = queueOf(await observe())?.growth.messages;
    assert.equal(latest?.earlier?.amount, 40);
    assert.equal(latest?.latest.seenMs, (latest?.earlier?.seenMs ?? 0) + 60_000);
  });

  it('does not know growth from an observation that is too old, or of another queue of that name', async () => {
    const { clock, holds, observe, history } = makeRoom();
    holds(100);
    await observe();
    clock.advance(6 * 60_000);
    const old = queueOf(await observe());
    assert.equal(old?.growth.messages?.earlier, undefined);
    assert.deepEqual(old?.trend, [100, 100]);
    clock.advance(20_000);
    history.forget(NAMESPACE, QUEUE);
    const replaced = queueOf(await observe());
    assert.equal(replaced?.growth.messages?.earlier, undefined);
    assert.deepEqual(replaced?.trend, [undefined, undefined, 100]);
  });

  it('does not remember a queue that was replaced while it was listed', async () => {
    const { clock, holds, observe, history, state } = makeRoom();
    holds(100);
    let goOn = (): void => undefined;
    state.held = new Promise((resolve) => (goOn = resolve));
    const observing = observe();
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1);
    history.forget(NAMESPACE, QUEUE);
    goOn();
    await observing;
    clock.advance(20_000);
    assert.deepEqual(queueOf(await observe())?.trend, [undefined, 100]);
  });

  it('says that what RabbitMQ does not answer is unknown', async () => {
    const { state, observe, logged, clock, holds } = makeRoom();
    state.failure = new Error('by a test');
    assert.deepEqual(await observe(), { connections: 1, queues: undefined });
    assert.equal(logged.length, 1);
    state.failure = undefined;
    holds(1);
    clock.advance(3_000);
    assert.equal(queueOf(await observe())?.growth.messages?.latest.amount, 1);
  });

  it('has a size only while the queue holds what was counted, and no depth of a stream', async () => {
    const { state, observe, holds, clock } = makeRoom();
    holds(10);
    state.statistics = [{ name: QUEUE, messages: 10, bytes: 1000, consumers: 2 }];
    const counted = queueOf(await observe());
    assert.deepEqual([counted?.consumers, counted?.growth.bytes?.latest.amount], [2, 1000]);
    clock.advance(10_000);
    holds(9);
    assert.equal(queueOf(await observe())?.growth.bytes, undefined);
    clock.advance(10_000);
    state.queues = [{ name: QUEUE }];
    const stream = queueOf(await observe());
    assert.deepEqual([stream?.ready, stream?.growth.messages], [undefined, undefined]);
    assert.deepEqual(stream?.trend, [10, 9, undefined]);
  });

  it('shares one listing among requests, and shows the deepest of many queues', async () => {
    const { state, observe } = makeRoom();
    state.queues = Array.from({ length: 150 }, (_, index) => ({
      name: `queue/${NAMESPACE}/${index}`,
      messages: index,
    }));
    const [first, second] = await Promise.all([observe(), observe()]);
    assert.equal(state.listings, 1);
    assert.deepEqual(first, second);
    assert.equal(first?.queues?.queues.length, 100);
    assert.equal(first?.queues?.queues[0]?.growth.messages?.latest.amount, 149);
    assert.equal(first?.queues?.hasMore, true);
  });

  it('shares an observation that goes on, however long it takes', async () => {
    const { clock, state, observe } = makeRoom();
    let goOn = (): void => undefined;
    state.held = new Promise((resolve) => (goOn = resolve));
    const first = observe();
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5_000);
    const second = observe();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(state.listings, 1);
    goOn();
    assert.deepEqual(await second, await first);
    await observe();
    assert.equal(state.listings, 2);
  });

  it('does not show what was there before the namespace', async () => {
    const { clock, holds, history } = makeRoom();
    holds(5);
    const early = createObserveNamespace({
      clock,
      history,
      config: { vhost: '/', usernamePrefix: 'u-' },
      log: { debug: () => undefined },
      management: {
        findQueues: async () => ({ queues: [{ name: QUEUE, messages: 5 }], isComplete: true }),
        findQueueStatistics: async () => ({ queues: [], isComplete: true }),
        listUserConnections: async () => [],
      },
    });
    assert.equal((await early(NAMESPACE, clock.nowMs() + 1)).queues, undefined);
    clock.advance(20_000);
    const later = await early(NAMESPACE, clock.nowMs() - 1);
    assert.deepEqual(later.queues?.seenMs, [clock.nowMs()]);
    assert.equal(later.queues?.queues[0]?.growth.messages?.earlier, undefined);
  });
});

describe('the history of queues', () => {
  it('remembers the namespaces that were asked about lately, and no more than its limits', () => {
    const clock = createManualClock();
    const history = createQueueHistory(clock);
    const listing = (queues: number) => {
      const at = momentOf(clock);
      const amounts = new Map(
        Array.from({ length: queues }, (_, index) => [`q${index}`, { messages: index, counted: undefined }] as const),
      );
      return { amounts, sizesAt: at, depthsAt: at };
    };
    history.add('unwatched', listing(1));
    assert.deepEqual(history.of('unwatched'), []);
    for (let index = 0; index < 100; index += 1) history.watch(`n${index}`);
    assert.equal(history.watched().size, 64);
    assert.ok(!history.watched().has('n35') && history.watched().has('n36'));
    for (let count = 0; count < 30; count += 1) {
      history.add('n99', listing(150));
      clock.advance(count % 2 === 0 ? 1_000 : 5_000);
    }
    assert.equal(history.of('n99').length, 15);
    for (const { amounts } of history.of('n99')) {
      assert.equal(amounts.size, 100);
      assert.ok(amounts.has('q149') && !amounts.has('q49'));
    }
    clock.advance(16 * 60_000);
    assert.equal(history.watched().size, 0);
    assert.deepEqual(history.of('n99'), []);
  });

  it('forgets everything of a namespace where very many queues come and go', () => {
    const clock = createManualClock();
    const history = createQueueHistory(clock);
    history.watch('n');
    const at = momentOf(clock);
    history.add('n', { amounts: new Map([['q', { messages: 1, counted: undefined }]]), sizesAt: at, depthsAt: at });
    for (let index = 0; index < 1_000; index += 1) history.forget('n', `other${index}`);
    assert.equal(history.of('n').length, 1);
    history.forget('n', 'one more');
    assert.equal(history.of('n').length, 0);
  });
});
