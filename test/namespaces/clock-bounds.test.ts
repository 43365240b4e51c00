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

describe('createClockBounds', () => {
  it('returns one instant while both clocks advance, also when they drift', () => {
    const { clock, steps, ahead, step } = setUp();
    for (let n = 0; n < 100; n += 1) {
      clock.advance(60_000);
      step(n % 2 === 0 ? 9_000 : 100);
      assert.deepEqual(ahead(), [0, 0]);
    }
    assert.deepEqual(steps, []);
  });

  for (const [title, by, expected] of [
    ['forward: the earliest is the instant without the step', HOUR, [-HOUR, 0]],
    ['back: the latest is the instant without the step', -HOUR, [0, HOUR]],
  ] as const) {
    it(`returns two instants after the clock was set ${title}, until every promise from before is over`, () => {
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

  it('returns one instant again as soon as the clock is corrected', () => {
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
