import assert from 'node:assert/strict';
import { elapsedSinceMs, momentOf, systemClock } from '../../src/util/clock.ts';
import { createManualClock } from '../support/manual-clock.ts';

describe('elapsedSinceMs', () => {
  it('is the elapsed time', () => {
    const clock = createManualClock();
    const moment = momentOf(clock);
    clock.advance(7);
    assert.equal(elapsedSinceMs(clock, moment), 7);
  });

  it('does not lose time when the wall clock is set back', () => {
    const clock = createManualClock();
    const moment = momentOf(clock);
    clock.advance(7);
    clock.setWall(clock.nowMs() - 3_600_000);
    assert.equal(elapsedSinceMs(clock, moment), 7);
  });

  it('counts the time of a suspended machine, when only the wall clock went on', () => {
    const clock = createManualClock();
    const moment = momentOf(clock);
    clock.setWall(clock.nowMs() + 60_000);
    assert.equal(elapsedSinceMs(clock, moment), 60_000);
  });
});

describe('systemClock', () => {
  it('is the time of this machine', () => {
    const before = Date.now();
    const { wallMs, monotonicMs } = momentOf(systemClock);
    assert.ok(wallMs >= before && wallMs <= Date.now());
    assert.ok(systemClock.monotonicMs() >= monotonicMs);
  });
});
