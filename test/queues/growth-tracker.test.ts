import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { QUEUE_LIMITS } from '../support/queue-room.ts';
import { createGrowthTracker, messageGrowthLimits } from '../../src/queues/growth-tracker.ts';
import { nextInspectionMs } from '../../src/queues/predict-growth.ts';

const LIMITS = messageGrowthLimits(QUEUE_LIMITS);
const HORIZON_MS = 60_000;
const QUEUE = 'queue/taskcluster-x/grows';

function predict(before: [number, number] | undefined, latest: [number, number]): number | undefined {
  const sample = ([amount, seenMs]: [number, number]) => ({ amount, seenMs });
  return nextInspectionMs(before === undefined ? undefined : sample(before), sample(latest), LIMITS, HORIZON_MS);
}

describe('the prediction of the next inspection', () => {
  it('is when the next threshold could be reached at the measured rate, and earlier while that is far away', () => {
    // 100/s; 1000 are left: 10 s.
    assert.equal(predict([2000, 0], [3000, 10_000]), 8_000);
    // 100 are left: 1 s.
    assert.equal(predict([2900, 0], [3900, 10_000]), 1_000);
    // Past the first threshold the second one counts: 3000 are left.
    assert.equal(predict([4000, 0], [5000, 10_000]), 24_000);
  });

  it('is undefined without growth, without a rate, above all thresholds, and where a survey comes first', () => {
    assert.equal(predict(undefined, [3000, 0]), undefined);
    assert.equal(predict([3000, 0], [3000, 10_000]), undefined);
    assert.equal(predict([3000, 0], [2000, 10_000]), undefined);
    assert.equal(predict([3000, 0], [3900, 499]), undefined);
    assert.equal(predict([3000, 0], [9000, 10_000]), undefined);
    assert.equal(predict([0, 0], [10, 10_000]), undefined);
  });

  it('is at least 250 ms', () => {
    assert.equal(predict([0, 0], [3999, 1_000]), 250);
  });

  it('finds a queue that grows steadily within a second of its threshold, with few inspections', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 0, max: 3_900 }),
        fc.integer({ min: 1_000, max: 30_000 }),
        (perSecond, start, surveyMs) => {
          const at = (nowMs: number): number => Math.floor(start + (perSecond * nowMs) / 1000);
          const crossedMs = ((4000 - start) / perSecond) * 1000;
          // A queue that passes the threshold before its growth was observed is a burst.
          fc.pre(crossedMs > surveyMs + 3_000);
          const growth = createGrowthTracker({ limitsOf: () => LIMITS, horizonMs: HORIZON_MS });
          let inspections = 0;
          let inspectMs: number | undefined;
          for (let nowMs = 0; nowMs < crossedMs + 60_000; ) {
            const nextSurveyMs = Math.floor(nowMs / surveyMs + 1) * surveyMs;
            const isSurvey = nowMs % surveyMs === 0;
            const pauseMs = isSurvey
              ? growth.recordSurvey([[QUEUE, at(nowMs)]], nowMs).get(QUEUE)
              : growth.recordInspection(QUEUE, at(nowMs), nowMs);
            if (!isSurvey) inspections += 1;
            if (at(nowMs) >= 4000) {
              // It grows by whole messages.
              assert.ok(nowMs - crossedMs <= 1_000 + 1_000 / perSecond, `${nowMs - crossedMs} ms late`);
              assert.ok(inspections <= 25 + crossedMs / 1_000, `${inspections} inspections`);
              return;
            }
            if (pauseMs !== undefined) inspectMs = Math.min(inspectMs ?? Infinity, nowMs + Math.ceil(pauseMs));
            nowMs = inspectMs !== undefined && inspectMs < nextSurveyMs ? inspectMs : nextSurveyMs;
            if (nowMs === inspectMs) inspectMs = undefined;
          }
          assert.fail('it was never found');
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('the growth tracker', () => {
  it('knows the queues of the latest survey only', () => {
    const growth = createGrowthTracker({ limitsOf: () => LIMITS, horizonMs: HORIZON_MS });
    growth.recordSurvey([[QUEUE, 1000]], 0);
    growth.recordSurvey([], 10_000);
    assert.deepEqual(growth.recordSurvey([[QUEUE, 10]], 20_000), new Map());
  });

  it('measures the rate soon after a survey in which a queue has grown, even from empty', () => {
    const growth = createGrowthTracker({ limitsOf: () => LIMITS, horizonMs: HORIZON_MS });
    assert.deepEqual(growth.recordSurvey([[QUEUE, 0]], 0), new Map());
    // The growth may have begun a moment ago.
    assert.equal(growth.recordSurvey([[QUEUE, 200]], 30_000).get(QUEUE), 2_000);
    assert.equal(growth.recordInspection(QUEUE, 400, 32_000), 28_800);
    // Nearer to its threshold it is inspected sooner.
    assert.equal(Math.floor(growth.recordSurvey([[QUEUE, 3900]], 62_000).get(QUEUE) ?? 0), 857);
    // A queue that has stopped growing is not inspected.
    assert.deepEqual(growth.recordSurvey([[QUEUE, 3900]], 92_000), new Map());
  });

  it('still predicts when a survey follows an inspection within milliseconds', () => {
    const growth = createGrowthTracker({ limitsOf: () => LIMITS, horizonMs: HORIZON_MS });
    growth.recordSurvey([[QUEUE, 3000]], 0);
    growth.recordSurvey([[QUEUE, 3900]], 10_000);
    growth.recordInspection(QUEUE, 3990, 11_000);
    assert.equal(growth.recordSurvey([[QUEUE, 3990]], 11_006).get(QUEUE), 250);
    assert.deepEqual(growth.recordSurvey([[QUEUE, 3990]], 12_000), new Map());
  });

  it('keeps what an inspection has just found where an older survey leaves the queue out as empty', () => {
    const inspectedNext = [[], [[QUEUE, 0]]].map((amounts) => {
      const growth = createGrowthTracker({ limitsOf: () => LIMITS, horizonMs: HORIZON_MS, surveyLagMs: 2_000 });
      growth.recordInspection(QUEUE, 1000, 10_000);
      growth.recordSurvey(amounts as [string, number][], 11_000);
      const soon = growth.recordInspection(QUEUE, 3000, 11_500);
      growth.recordSurvey(amounts as [string, number][], 60_000);
      return [soon, growth.recordInspection(QUEUE, 3500, 61_000)];
    });
    // Known, then forgotten.
    assert.deepEqual(inspectedNext, [
      [750, 2_000],
      [750, 2_000],
    ]);
  });

  it('asks for a second inspection of an unknown queue, and not of an empty one', () => {
    const growth = createGrowthTracker({ limitsOf: () => LIMITS, horizonMs: HORIZON_MS });
    assert.equal(growth.recordInspection(QUEUE, 0, 0), undefined);
    assert.equal(growth.recordInspection(QUEUE, 1000, 10), 2_000);
    assert.equal(growth.recordInspection(QUEUE, 3000, 1_010), 500);
    growth.forget(QUEUE);
    assert.equal(growth.recordInspection(QUEUE, 3500, 2_000), 2_000);
  });

  it('does not take an inspection for shrinkage, as it does not count what consumers hold', () => {
    const growth = createGrowthTracker({ limitsOf: () => LIMITS, horizonMs: HORIZON_MS });
    growth.recordSurvey([[QUEUE, 1000]], 0);
    assert.equal(growth.recordInspection(QUEUE, 500, 5_000), undefined);
    growth.recordSurvey([[QUEUE, 2000]], 10_000);
    assert.equal(growth.recordInspection(QUEUE, 2100, 11_000), 15_200);
  });
});
