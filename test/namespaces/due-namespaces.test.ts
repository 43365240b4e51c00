import assert from 'node:assert/strict';
import { createBackoff, type NamespaceWorkFailure } from '../../src/namespaces/backoff.ts';
import { findDueNamespaces, forEachWithBackoff } from '../../src/namespaces/due-namespaces.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { recordOf } from '../support/records.ts';

const never = new AbortController().signal;

describe('findDueNamespaces', () => {
  it('finds the actionable records behind any number that must wait', async () => {
    const records = Array.from({ length: 5000 }, (_, index) => recordOf(0, { namespace: `n${index}` }));
    const listDue = async (limit: number) => records.slice(0, limit);
    const found = await findDueNamespaces(listDue, ({ namespace }) => namespace === 'n4999');
    assert.deepEqual(
      found.map(({ namespace }) => namespace),
      ['n4999'],
    );
    assert.deepEqual(await findDueNamespaces(listDue, () => false), []);
  });
});

describe('forEachWithBackoff', () => {
  function setUp() {
    const clock = createManualClock();
    const failing: NamespaceWorkFailure[] = [];
    const backoff = createBackoff(clock, (failed) => failing.push(failed));
    return { clock, failing, backoff, options: { work: 'deletion' as const, backoff, concurrency: 2, signal: never } };
  }
  const items = (...namespaces: string[]) => namespaces.map((namespace) => ({ namespace }));

  it('continues after a failure, and delays the namespace that failed longer each time', async () => {
    const { clock, failing, backoff, options } = setUp();
    const step = async ({ namespace }: { namespace: string }): Promise<boolean> => {
      if (namespace === 'broken') throw new Error('no');
      return true;
    };
    assert.equal(await forEachWithBackoff(items('a', 'broken', 'b', 'c'), options, step), 3);
    assert.deepEqual([failing[0]?.namespace, failing[0]?.failures], ['broken', 1]);
    assert.equal(backoff.ready('deletion', 'broken'), false);
    assert.equal(backoff.ready('rotation', 'broken'), true);
    clock.advance(1000);
    assert.equal(backoff.ready('deletion', 'broken'), true);
    await forEachWithBackoff(items('broken'), options, step);
    assert.equal(failing[1]?.failures, 2);
    clock.advance(1999);
    assert.equal(backoff.ready('deletion', 'broken'), false);
    clock.advance(1);
    assert.equal(backoff.ready('deletion', 'broken'), true);
    await forEachWithBackoff(items('broken'), options, async () => true);
    await forEachWithBackoff(items('broken'), options, step);
    assert.equal(failing[2]?.failures, 1, 'a success forgets');
  });

  it('stops when every step fails, instead of delaying each namespace', async () => {
    const { failing, options } = setUp();
    const all = items(...Array.from({ length: 100 }, (_, index) => `n${index}`));
    await assert.rejects(
      forEachWithBackoff(all, options, async () => {
        throw new Error('the broker is down');
      }),
      /the broker is down/,
    );
    assert.ok(failing.length <= 3, `${failing.length}`);
  });
});
