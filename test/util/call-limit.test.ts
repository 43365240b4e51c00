import assert from 'node:assert/strict';
import { createCallLimit } from '../../src/util/call-limit.ts';

const never = new AbortController().signal;

describe('call limit', () => {
  it('lets so many in, and the others in the order in which they came', async () => {
    const limit = createCallLimit({ atOnce: 2, mayWait: 10 });
    const order: number[] = [];
    const [leaveFirst, leaveSecond] = [await limit.enter(never), await limit.enter(never)];
    const later = [1, 2, 3].map((number) => limit.enter(never).then((leave) => (order.push(number), leave)));
    assert.deepEqual([limit.running, limit.waiting], [2, 3]);
    leaveFirst();
    (await later[0])?.();
    leaveSecond();
    for (const entering of later) (await entering)();
    assert.deepEqual(order, [1, 2, 3]);
    assert.deepEqual([limit.running, limit.waiting], [0, 0]);
  });

  it('turns away at once when too many wait', async () => {
    const limit = createCallLimit({ atOnce: 1, mayWait: 1 });
    const leave = await limit.enter(never);
    const waiting = limit.enter(never);
    await assert.rejects(limit.enter(never), { code: 'AuthUnavailable' });
    leave();
    (await waiting)();
    assert.equal(limit.running, 0);
  });

  it('forgets who gives up waiting', async () => {
    const limit = createCallLimit({ atOnce: 1, mayWait: 10 });
    const leave = await limit.enter(never);
    const giving = new AbortController();
    const abandoned = limit.enter(giving.signal);
    const next = limit.enter(never);
    giving.abort(new Error('enough'));
    await assert.rejects(abandoned, /^Error: enough$/);
    leave();
    (await next)();
    assert.equal(limit.running, 0);
    await assert.rejects(limit.enter(giving.signal), /^Error: enough$/);
  });

  it('gives a place back once, however often it is left', async () => {
    const limit = createCallLimit({ atOnce: 2, mayWait: 10 });
    const leave = await limit.enter(never);
    await limit.enter(never);
    leave();
    leave();
    assert.equal(limit.running, 1);
  });
});
