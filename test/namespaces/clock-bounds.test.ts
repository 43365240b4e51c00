import assert from 'node:assert/strict';
import { createClockBounds } from '../../src/namespaces/clock-bounds.ts';
import { createManualClock } from '../support/manual-clock.ts';

const HOUR = 3_600_000;
const intervals = { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };

function setUp() {
  const clock = createManualClock();
  const steps: number[] = [];
  const bounds = createClockBounds(clock, intervals, (byMs) => void steps.push(byMs));
  const ahead = () => [bounds.earliestMs() - clock.nowMs(), bounds.latestMs() - clock.nowMs()];
  return { clock, steps, ahead, step: (ms: number) => clock.setWall(clock.nowMs() + ms) };
}

describe('the bounds of what time it is', () => {
  it('are one instant while both clocks go on, also when they drift', () => {
    const { clock, steps, ahead, step } = setUp();
    for (let n = 0; n < 100; n += 1) {
      clock.advance(60_000);
      step(n % 2 === 0 ? 9_000 : 100);
      assert.deepEqual(ahead(), [0, 0]);
    }
    assert.deepEqual(steps, []);
  });

  for (const [title, by, expected] of [
    ['forward: it may be as early as without that', HOUR, [-HOUR, 0]],
    ['back: it may be as late as without that', -HOUR, [0, HOUR]],
  ] as const) {
    it(`are two after the clock was set ${title}, until no promise of before is left`, () => {
      const { clock, steps, ahead, step } = setUp();
      clock.advance(1000);
      step(by);
      assert.deepEqual(ahead(), [...expected]);
      clock.advance(2 * HOUR - 1);
      assert.deepEqual(ahead(), [...expected]);
      clock.advance(1);
      assert.deepEqual(ahead(), [0, 0]);
      assert.deepEqual(steps, [by]);
    });
  }

  it('are one again as soon as the clock is put right', () => {
    const { clock, steps, ahead, step } = setUp();
    step(HOUR);
    assert.deepEqual(ahead(), [-HOUR, 0]);
    clock.advance(60_000);
    step(-HOUR);
    assert.deepEqual(ahead(), [0, 0]);
    step(HOUR);
    assert.deepEqual(ahead(), [-HOUR, 0]);
    assert.deepEqual(steps, [HOUR, HOUR]);
  });
});
