import assert from 'node:assert/strict';
import type { FoundQueue } from '../../src/broker/management/queue-search.ts';
import { createDepthHistory, type DepthHistory } from '../../src/operator-api/depth-history.ts';
import { momentOf } from '../../src/util/clock.ts';
import { createManualClock, type ManualClock } from '../support/manual-clock.ts';

const QUEUE = 'queue/taskcluster-a/1';

function list(history: DepthHistory, clock: ManualClock, queues: Readonly<Record<string, number | undefined>>): void {
  const listing = history.begin(momentOf(clock));
  for (const [name, messages] of Object.entries(queues)) {
    const queue: FoundQueue =
      messages === undefined ? { name } : { name, messages, ready: messages, unacknowledged: 0 };
    listing.add(queue, name.split('/')[1] ?? '');
  }
  listing.end();
}

function makeRoom() {
  const clock = createManualClock();
  return { clock, history: createDepthHistory(clock) };
}

const amounts = (history: DepthHistory, queue = QUEUE) => history.points(queue).map(({ messages }) => messages);

describe('the history of depths', () => {
  it('has the depth of each listing, with 0 from before a queue held messages', () => {
    const { clock, history } = makeRoom();
    const startedMs = clock.nowMs();
    for (const messages of [0, 0, 30, 60]) {
      list(history, clock, { [QUEUE]: messages });
      clock.advance(5_000);
    }
    assert.deepEqual(amounts(history), [0, 0, 30, 60]);
    assert.equal(history.points(QUEUE)[0]?.seenMs, startedMs);
    assert.deepEqual(
      [...history.listed()].map(({ queue, namespace, messages }) => [queue, namespace, messages]),
      [[QUEUE, 'taskcluster-a', 60]],
    );
  });

  it('knows what is unknown from what is 0', () => {
    const { clock, history } = makeRoom();
    list(history, clock, { other: 1 });
    clock.advance(5_000);
    list(history, clock, { [QUEUE]: undefined });
    clock.advance(5_000);
    list(history, clock, { [QUEUE]: 7 });
    assert.deepEqual(amounts(history), [undefined, 7]);
    assert.deepEqual(history.trends().of(QUEUE), [null, null, 7]);
    assert.deepEqual(history.trends().of('none'), [null, null, null]);
  });

  it('shows the latest listing although it was too soon for a sample', () => {
    const { clock, history } = makeRoom();
    list(history, clock, { [QUEUE]: 1 });
    clock.advance(1_000);
    list(history, clock, { [QUEUE]: 2 });
    assert.deepEqual(amounts(history), [1, 2]);
    clock.advance(1_000);
    list(history, clock, { [QUEUE]: 3 });
    assert.deepEqual(amounts(history), [1, 3]);
    assert.deepEqual(history.trends().of(QUEUE), [1, 3]);
  });

  it('measures growth over a minute at most, and over ten seconds at least', () => {
    const { clock, history } = makeRoom();
    list(history, clock, { [QUEUE]: 0 });
    assert.equal(history.growthOf(QUEUE)?.earlier, undefined);
    clock.advance(5_000);
    list(history, clock, { [QUEUE]: 500 });
    assert.equal(history.growthOf(QUEUE)?.earlier, undefined);
    for (let step = 2; step <= 20; step += 1) {
      clock.advance(5_000);
      list(history, clock, { [QUEUE]: 500 * step });
    }
    const growth = history.growthOf(QUEUE);
    assert.equal(growth?.latest.amount, 10_000);
    assert.equal(growth.latest.seenMs - (growth.earlier?.seenMs ?? 0), 60_000);
    assert.equal(growth.earlier?.amount, 4_000);
  });

  it('measures no growth since another queue of the name', () => {
    const { clock, history } = makeRoom();
    list(history, clock, { [QUEUE]: 9_000 });
    clock.advance(30_000);
    history.forget(QUEUE);
    list(history, clock, { [QUEUE]: 10 });
    assert.deepEqual(history.growthOf(QUEUE), { latest: { amount: 10, seenMs: clock.nowMs() } });
  });

  it('keeps what a queue held before it was deleted for an hour, and lists it no longer', () => {
    const { clock, history } = makeRoom();
    list(history, clock, { [QUEUE]: 50, empty: 0 });
    clock.advance(5_000);
    list(history, clock, {});
    assert.deepEqual([...history.listed()], []);
    assert.equal(history.growthOf(QUEUE), undefined);
    assert.deepEqual(amounts(history), [50, undefined]);
    assert.deepEqual(amounts(history, 'empty'), []);
    clock.advance(3_601_000);
    list(history, clock, {});
    assert.deepEqual(amounts(history), []);
  });

  it('keeps six hours, the last ten minutes finely', () => {
    const { clock, history } = makeRoom();
    const startedMs = clock.nowMs();
    for (let step = 1; step <= (8 * 3_600) / 5; step += 1) {
      clock.advance(5_000);
      list(history, clock, { [QUEUE]: step });
    }
    const points = history.points(QUEUE);
    assert.ok(points.length <= 240, String(points.length));
    const hours = (clock.nowMs() - (points[0]?.seenMs ?? 0)) / 3_600_000;
    assert.ok(hours > 5.9 && hours < 6.1, String(hours));
    for (const { seenMs, messages } of points) assert.equal(messages, (seenMs - startedMs) / 5_000);
    const trends = history.trends();
    assert.ok(trends.seenMs.length >= 20 && trends.seenMs.length <= 30, String(trends.seenMs.length));
    assert.deepEqual(
      trends.of(QUEUE),
      trends.seenMs.map((seenMs) => (seenMs - startedMs) / 5_000),
    );
    assert.equal(trends.seenMs.at(-1), clock.nowMs());
    assert.ok((trends.seenMs[0] ?? 0) >= clock.nowMs() - 3_600_000);
  });

  it('ignores a listing that ended after a later one', () => {
    const { clock, history } = makeRoom();
    const slow = history.begin(momentOf(clock));
    clock.advance(5_000);
    list(history, clock, { [QUEUE]: 5 });
    slow.end();
    assert.deepEqual(
      [...history.listed()].map(({ queue }) => queue),
      [QUEUE],
    );
  });
});
