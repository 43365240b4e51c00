import assert from 'node:assert/strict';
import { createOthersFailing } from '../../src/operator-api/others-failing.ts';
import { createManualClock } from '../support/manual-clock.ts';

describe('the failing work of other agents', () => {
  it('is known from their events until a minute after it is tried again', () => {
    const clock = createManualClock();
    const failing = createOthersFailing('own', clock);
    const retryAt = new Date(clock.nowMs() + 30_000).toISOString();
    const data = { namespace: 'taskcluster-a', work: 'rotation', failures: 2, error: 'BrokerUnavailable', retryAt };
    const event = { type: 'namespace.failing', instance: 'other', data };
    failing.observe(event);
    failing.observe({ ...event, instance: 'own' });
    failing.observe({ ...event, type: 'namespace.rotated' });
    failing.observe({ ...event, data: { ...data, retryAt: 'soon' } });
    const { namespace: _, ...failure } = data;
    assert.deepEqual(failing.of('taskcluster-a'), [{ ...failure, instance: 'other' }]);
    assert.deepEqual(failing.of('taskcluster-b'), []);
    clock.advance(90_001);
    assert.deepEqual(failing.of('taskcluster-a'), []);
  });
});
