import assert from 'node:assert/strict';
import { systemClock } from '../../src/util/clock.ts';
import { runSteps } from '../../src/verify/run-steps.ts';
import { failed, ok, skipped, type Step, type StepResult, verdictOn, warning } from '../../src/verify/step.ts';

/** The verdict on steps with these results, each essential or not. */
async function verdictOf(...results: readonly (readonly [result: StepResult | Error, essential?: boolean])[]) {
  const steps = results.map(
    ([result, essential], index): Step => ({
      name: `step-${index}`,
      about: `part ${index}`,
      needs: [],
      ...(essential === undefined ? {} : { essential }),
      async run() {
        await Promise.resolve();
        if (result instanceof Error) throw result;
        return result;
      },
    }),
  );
  const { signal } = new AbortController();
  return verdictOn(await runSteps(steps, { clock: systemClock, signal, onReport: () => undefined }));
}

const fault = failed('it is not there', 'Create it.');

describe('the verdict of a verification', () => {
  it('is that all works, whatever was skipped or is to be checked', async () => {
    const results = [ok('fine'), warning('old', 'Upgrade.'), skipped('not asked for')] as const;
    assert.deepEqual(await verdictOf(...results.map((result) => [result] as const)), { verdict: 'works', missing: [] });
  });

  it('is that it works with limits, and which, when it serves without what failed', async () => {
    assert.deepEqual(await verdictOf([ok('fine')], [fault, false], [new Error('unexpected'), false]), {
      verdict: 'limited',
      missing: ['part 1', 'part 2'],
    });
    assert.equal((await verdictOf([{ ...fault, essential: false }])).verdict, 'limited');
  });

  it('is that it does not work when it does not serve without one of them', async () => {
    assert.deepEqual(await verdictOf([fault, false], [fault]), { verdict: 'broken', missing: ['part 0', 'part 1'] });
    assert.equal((await verdictOf([{ ...fault, essential: true }, false])).verdict, 'broken');
  });
});
