import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { createGrowth } from '../../src/queues/growth.ts';
import { nextInspectionMs } from '../../src/queues/predict-growth.ts';
import { surveyPauseMs } from '../../src/queues/survey-pace.ts';

const LIMITS = { warnAtMessages: 4000, deleteAtMessages: 8000 };
const HORIZON_MS = 60_000;
const QUEUE = 'queue/taskcluster-x/grows';

function predict(before: [number, number] | undefined, latest: [number, number]): number | undefined {
  const sample = ([messages, seenMs]: [number, number]) => ({ messages, seenMs });
  return nextInspectionMs(before === undefined ? undefined : sample(before), sample(latest), LIMITS, HORIZON_MS);
}

describe('the prediction of the next look', () => {
  it('is when the next threshold could be reached at the rate seen, a little early while that is far', () => {
    // 100/s; 1000 are left: 10 s.
    assert.equal(predict([2000, 0], [3000, 10_000]), 8_000);
    // 100 are left: 1 s.
    assert.equal(predict([2900, 0], [3900, 10_000]), 1_000);
    // Past the first threshold the second one counts: 3000 are left.
    assert.equal(predict([4000, 0], [5000, 10_000]), 24_000);
  });

  it('is none without growth, without a rate, past all thresholds, and where a survey comes first', () => {
    assert.equal(predict(undefined, [3000, 0]), undefined);
    assert.equal(predict([3000, 0], [3000, 10_000]), undefined);
    assert.equal(predict([3000, 0], [2000, 10_000]), undefined);
    assert.equal(predict([3000, 0], [3900, 499]), undefined);
    assert.equal(predict([3000, 0], [9000, 10_000]), undefined);
    assert.equal(predict([0, 0], [10, 10_000]), undefined);
  });

  it('is never sooner than a quarter of a second', () => {
    assert.equal(predict([0, 0], [3999, 1_000]), 250);
  });

  it('sees a queue that grows steadily at its threshold within a second, at few looks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 0, max: 3_900 }),
        fc.integer({ min: 1_000, max: 30_000 }),
        (perSecond, start, surveyMs) => {
          const at = (nowMs: number): number => Math.floor(start + (perSecond * nowMs) / 1000);
          const crossedMs = ((4000 - start) / perSecond) * 1000;
          // What passes the threshold before it was seen to grow is a burst.
          fc.pre(crossedMs > surveyMs + 3_000);
          const growth = createGrowth({ limits: LIMITS, horizonMs: HORIZON_MS });
          let looks = 0;
          let lookMs: number | undefined;
          for (let nowMs = 0; nowMs < crossedMs + 60_000; ) {
            const nextSurveyMs = Math.floor(nowMs / surveyMs + 1) * surveyMs;
            const isSurvey = nowMs % surveyMs === 0;
            const pauseMs = isSurvey
              ? growth.takeSurvey([[QUEUE, at(nowMs)]], nowMs).get(QUEUE)
              : growth.takeLook(QUEUE, at(nowMs), nowMs);
            if (!isSurvey) looks += 1;
            if (at(nowMs) >= 4000) {
              // It grows by whole messages.
              assert.ok(nowMs - crossedMs <= 1_000 + 1_000 / perSecond, `${nowMs - crossedMs} ms late`);
              assert.ok(looks <= 25 + crossedMs / 1_000, `${looks} looks`);
              return;
            }
            if (pauseMs !== undefined) lookMs = Math.min(lookMs ?? Infinity, nowMs + Math.ceil(pauseMs));
            nowMs = lookMs !== undefined && lookMs < nextSurveyMs ? lookMs : nextSurveyMs;
            if (nowMs === lookMs) lookMs = undefined;
          }
          assert.fail('it was never seen');
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('what is known of growth', () => {
  it('is of the queues of the latest survey', () => {
    const growth = createGrowth({ limits: LIMITS, horizonMs: HORIZON_MS });
    growth.takeSurvey([[QUEUE, 1000]], 0);
    growth.takeSurvey([], 10_000);
    assert.deepEqual(growth.takeSurvey([[QUEUE, 10]], 20_000), new Map());
  });

  it('is measured anew soon after a survey that saw a queue grow, also one that was empty before', () => {
    const growth = createGrowth({ limits: LIMITS, horizonMs: HORIZON_MS });
    assert.deepEqual(growth.takeSurvey([[QUEUE, 0]], 0), new Map());
    // It may have begun a moment ago.
    assert.equal(growth.takeSurvey([[QUEUE, 200]], 30_000).get(QUEUE), 2_000);
    assert.equal(growth.takeLook(QUEUE, 400, 32_000), 28_800);
    // Nearer than that to its threshold it is looked at sooner.
    assert.equal(Math.floor(growth.takeSurvey([[QUEUE, 3900]], 62_000).get(QUEUE) ?? 0), 857);
    // One that does not grow any more is left alone.
    assert.deepEqual(growth.takeSurvey([[QUEUE, 3900]], 92_000), new Map());
  });

  it('is not given up by a survey a moment after a look', () => {
    const growth = createGrowth({ limits: LIMITS, horizonMs: HORIZON_MS });
    growth.takeSurvey([[QUEUE, 3000]], 0);
    growth.takeSurvey([[QUEUE, 3900]], 10_000);
    growth.takeLook(QUEUE, 3990, 11_000);
    assert.equal(growth.takeSurvey([[QUEUE, 3990]], 11_006).get(QUEUE), 250);
    assert.deepEqual(growth.takeSurvey([[QUEUE, 3990]], 12_000), new Map());
  });

  it('looks twice at a queue that it did not know, and not at an empty one', () => {
    const growth = createGrowth({ limits: LIMITS, horizonMs: HORIZON_MS });
    assert.equal(growth.takeLook(QUEUE, 0, 0), undefined);
    assert.equal(growth.takeLook(QUEUE, 1000, 10), 2_000);
    assert.equal(growth.takeLook(QUEUE, 3000, 1_010), 500);
    growth.forget(QUEUE);
    assert.equal(growth.takeLook(QUEUE, 3500, 2_000), 2_000);
  });

  it('takes no shrinking from a look that does not count what consumers hold', () => {
    const growth = createGrowth({ limits: LIMITS, horizonMs: HORIZON_MS });
    growth.takeSurvey([[QUEUE, 1000]], 0);
    assert.equal(growth.takeLook(QUEUE, 500, 5_000), undefined);
    growth.takeSurvey([[QUEUE, 2000]], 10_000);
    assert.equal(growth.takeLook(QUEUE, 2100, 11_000), 15_200);
  });
});

describe('the pace of surveys', () => {
  it('takes a twentieth of the time, but comes at least as often as configured, and at most once a second', () => {
    assert.equal(surveyPauseMs(600, 60_000), 12_000);
    assert.equal(surveyPauseMs(5, 60_000), 1_000);
    assert.equal(surveyPauseMs(5_000, 60_000), 60_000);
    assert.equal(surveyPauseMs(5, 500), 500);
  });
});
