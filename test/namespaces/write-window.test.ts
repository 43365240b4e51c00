import assert from 'node:assert/strict';
import { momentOf } from '../../src/util/clock.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { openWindow } from '../../src/namespaces/write-window.ts';
import { createManualClock } from '../support/manual-clock.ts';

const closed = (error: unknown): boolean => isAgentError(error, 'WindowClosed');

describe('openWindow', () => {
  it('is open for F after the reading began, and gives each write a time-out of F', () => {
    const clock = createManualClock();
    const window = openWindow(clock, momentOf(clock), 10_000);
    assert.equal(window.timeoutMs, 10_000);
    clock.advance(10_000);
    window.assertOpen();
    clock.advance(1);
    assert.throws(() => window.assertOpen(), closed);
  });

  it('counts by the clock that shows more elapsed time', () => {
    const slept = createManualClock();
    const afterSleep = openWindow(slept, momentOf(slept), 10_000);
    slept.setWall(slept.nowMs() + 10_001);
    assert.throws(() => afterSleep.assertOpen(), closed);

    const setBack = createManualClock();
    const afterReset = openWindow(setBack, momentOf(setBack), 10_000);
    setBack.advance(10_001);
    setBack.setWall(0);
    assert.throws(() => afterReset.assertOpen(), closed);
  });
});
