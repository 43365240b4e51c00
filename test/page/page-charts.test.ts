import assert from 'node:assert/strict';
import { areaPath, linePath, nearestPoint, roundTop, timeTicks, xOf, yOf } from '../../src/page/chart-geometry.ts';
import { chartSpan, describeDepths, shownLimits } from '../../src/page/depth-texts.ts';
import { planMarks } from '../../src/page/plan-steps.ts';

const HOUR = 3_600_000;
const SCALE = { fromMs: 0, untilMs: 100, top: 10, width: 200, height: 50 };
const LIMITS = { warnAtMessages: 4000, deleteAtMessages: 8000 };
const depths = (...values: (number | null)[]) => values.map((value, index) => ({ atMs: index * HOUR, value }));

describe('charts of the page', () => {
  it('end at a round number with three to six lines', () => {
    for (const largest of [0, 1, 3, 5, 9, 10, 11, 37, 99, 100, 4160, 7999, 123_456, 9_999_999]) {
      const { top, step } = roundTop(largest);
      assert.ok(top >= largest && top / step >= 3 && top / step <= 6, `${largest}: ${top} by ${step}`);
    }
  });

  it('place points, and interrupt the line where the depth is unknown', () => {
    assert.deepEqual([xOf(0, SCALE), xOf(50, SCALE), xOf(100, SCALE)], [0, 100, 200]);
    assert.deepEqual([yOf(0, SCALE), yOf(10, SCALE), yOf(99, SCALE)], [50, 0, 0]);
    const points = [0, 25, 50, 75, 100].map((atMs, index) => ({ atMs, value: index === 2 ? null : 5 }));
    assert.equal(linePath(points, SCALE), 'M0 25L50 25M150 25L200 25');
    assert.equal(areaPath(points, SCALE), 'M0 50L0 25L50 25L50 50ZM150 50L150 25L200 25L200 50Z');
    assert.equal(linePath([], SCALE), '');
    assert.equal(xOf(5, { ...SCALE, fromMs: 5, untilMs: 5 }), 200, 'one point');
    assert.equal(nearestPoint(points, 40)?.atMs, 50);
    assert.equal(nearestPoint([], 40), undefined);
  });

  it("have ticks at round times of the viewer's zone", () => {
    assert.deepEqual(
      timeTicks(0.5 * HOUR, 3.2 * HOUR, 0),
      [0.5, 1, 1.5, 2, 2.5, 3].map((hours) => hours * HOUR),
    );
    const quarter = timeTicks(0, 3 * HOUR, 0.25 * HOUR);
    assert.equal(quarter[0], 0.25 * HOUR, 'half past is a quarter past in UTC');
    for (const hours of [0.1, 1, 5, 12, 30, 100]) {
      const { length } = timeTicks(0, hours * HOUR, 0);
      assert.ok(length >= 2 && length <= 8, `${hours} h: ${length}`);
    }
  });

  it('show a threshold that is near, and leave out one that would flatten the line', () => {
    const shown = (largest: number) => {
      const { top } = chartSpan(depths(0, largest), LIMITS);
      return shownLimits(top, LIMITS).map(({ name }) => name);
    };
    assert.deepEqual(shown(100), []);
    assert.deepEqual(shown(1500), ['warn']);
    assert.deepEqual(shown(3000), ['warn', 'delete']);
    assert.deepEqual(shown(7900), ['warn', 'delete']);
    const { fromMs, untilMs } = chartSpan([], LIMITS);
    assert.deepEqual([fromMs, untilMs], [0, 0]);
  });

  it('are described in words', () => {
    const limits = '; owners are warned at 4,000, it is deleted at 8,000';
    assert.equal(
      describeDepths(depths(120, null, 4300, 4200), LIMITS),
      `from 120 to 4,200 messages in 3 h, at most 4,300${limits}`,
    );
    assert.equal(describeDepths(depths(7), LIMITS), `7 messages${limits}`);
    assert.equal(describeDepths(depths(null), LIMITS), 'no depth is known yet');
  });

  it('mark the steps of a plan, many at one place together', () => {
    const at = (hours: number) => new Date(hours * HOUR).toISOString();
    const steps = [
      { at: at(-1), action: 'rotate', count: 2 },
      { at: at(0.01), action: 'rotate', count: 40 },
      { at: at(6), action: 'delete', count: 1 },
      { at: at(13), action: 'delete-queue', count: 1 },
    ] as const;
    assert.deepEqual(planMarks(steps, 0, 12 * HOUR), [
      { place: 0, tone: 'good', count: 42 },
      { place: 0.5, tone: 'bad', count: 1 },
      { place: 1, tone: 'bad', count: 1 },
    ]);
  });
});
