import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { rejectAfter, startDeadline, TimeoutError, waitAtMost } from '../../src/util/deadline.ts';

const never = new Promise<never>(() => undefined);

describe('a deadline', () => {
  it('aborts its signal and rejects the race when the time is up', async () => {
    const deadline = startDeadline(5);
    const { signal } = deadline;
    await assert.rejects(deadline.race(never), /^TimeoutError: no answer within 5 ms$/);
    assert.equal(deadline.passed, true);
    assert.ok(signal.reason instanceof TimeoutError);
  });

  it('passes when the outer signal aborts, with its reason, also for a signal that is made afterwards', async () => {
    const stop = new AbortController();
    const deadline = startDeadline(60_000, stop.signal);
    const racing = deadline.race(never);
    stop.abort(new Error('enough'));
    await assert.rejects(racing, /^Error: enough$/);
    await assert.rejects(deadline.race(never), /^Error: enough$/);
    assert.equal((deadline.signal.reason as Error).message, 'enough');
    deadline.clear();
    assert.equal(startDeadline(60_000, stop.signal).passed, true);
  });

  it('starts no timer when the outer signal has aborted before', () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const deadline = startDeadline(60_000, AbortSignal.abort(new Error('enough')));
    assert.equal(timers(), before);
    assert.equal(deadline.passed, true);
  });

  it('gives the outcome of work that is done in time, and leaves nothing on the outer signal', async () => {
    const stop = new AbortController();
    const deadline = startDeadline(60_000, stop.signal);
    assert.equal(await deadline.race(Promise.resolve(7)), 7);
    await assert.rejects(deadline.race(Promise.reject(new Error('broken'))), /broken/);
    deadline.clear();
    assert.equal(deadline.passed, false);
    assert.deepEqual(getEventListeners(stop.signal, 'abort'), []);
  });
});

describe('rejectAfter', () => {
  it('gives the outcome of the work, or rejects after the time', async () => {
    assert.equal(await rejectAfter(60_000, Promise.resolve('done')), 'done');
    await assert.rejects(rejectAfter(5, never), TimeoutError);
  });
});

describe('waitAtMost', () => {
  it('returns whether the work was done in time, however it went', async () => {
    assert.equal(await waitAtMost(60_000, Promise.resolve()), true);
    assert.equal(await waitAtMost(60_000, Promise.reject(new Error('broken'))), true);
    assert.equal(await waitAtMost(5, never), false);
  });
});
