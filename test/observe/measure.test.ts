import assert from 'node:assert/strict';
import { AgentError } from '../../src/util/agent-errors.ts';
import { measure, measureRecurringJob, measureTriggeredJob } from '../../src/observe/measure.ts';
import { createManualClock } from '../support/manual-clock.ts';

/** A part with private fields, like the adapters. */
class Part {
  readonly #clock: { advance(ms: number): void };
  readonly kind = 'part';
  closed = false;

  constructor(clock: { advance(ms: number): void }) {
    this.#clock = clock;
  }

  async double(number: number): Promise<number> {
    this.#clock.advance(20);
    return 2 * number;
  }

  async fail(error: unknown): Promise<never> {
    this.#clock.advance(5);
    throw error;
  }

  close(): void {
    this.closed = true;
  }
}

describe('a measured part', () => {
  const make = () => {
    const clock = createManualClock();
    const calls: [string, string, number][] = [];
    const part = new Part(clock);
    const onCall = (...call: [string, string, number]): void => void calls.push(call);
    return { clock, calls, part, onCall, measured: measure(part, { clock, prefix: 'part', onCall }) };
  };

  it('answers as before, and reports each call with its duration', async () => {
    const { calls, measured, part } = make();
    assert.equal(await measured.double(4), 8);
    assert.equal(measured.kind, 'part');
    measured.close();
    assert.equal(part.closed, true);
    assert.deepEqual(calls, [['part.double', 'ok', 20]]);
  });

  it('throws the same error, and reports its code, if any', async () => {
    const { calls, measured } = make();
    const timeout = AbortSignal.timeout(0);
    await new Promise((resolve) => timeout.addEventListener('abort', resolve));
    const errors: readonly unknown[] = [
      new AgentError('StoreUnavailable', 'x'),
      new Error('mongodb://u:secret@h'),
      timeout.reason,
      'text',
    ];
    for (const error of errors) await assert.rejects(measured.fail(error), (thrown) => thrown === error);
    assert.deepEqual(
      calls.map(([, outcome]) => outcome),
      ['StoreUnavailable', 'error', 'aborted', 'error'],
    );
  });

  it('reports the outcome in the answer', async () => {
    const { clock, calls, part, onCall } = make();
    await measure(part, { clock, onCall, outcomeOf: (result) => `got ${String(result)}` }).double(1);
    assert.deepEqual(calls, [['double', 'got 2', 20]]);
  });

  it('measures jobs: one that is aborted by the stop of the agent has not failed', async () => {
    const { clock, calls, onCall } = make();
    const stopping = new AbortController();
    const run = async (signal: AbortSignal): Promise<void> => {
      clock.advance(7);
      signal.throwIfAborted();
    };
    const recurring = measureRecurringJob({ name: 'sweep', everyMs: 5, run }, clock, onCall);
    const subjects: string[] = [];
    const triggered = measureTriggeredJob(
      { name: 'inspect', run: async (subject) => void subjects.push(subject) },
      clock,
      onCall,
    );
    assert.equal(recurring.everyMs, 5);
    await recurring.run(stopping.signal);
    await triggered.run('queue/a', stopping.signal);
    stopping.abort(new Error('The agent stops.'));
    await assert.rejects(recurring.run(stopping.signal), /The agent stops/);
    assert.deepEqual(subjects, ['queue/a']);
    assert.deepEqual(calls, [
      ['sweep', 'ok', 7],
      ['inspect', 'ok', 0],
      ['sweep', 'aborted', 7],
    ]);
  });
});
