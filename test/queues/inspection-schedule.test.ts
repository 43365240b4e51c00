import assert from 'node:assert/strict';
import { createInspectionSchedule, type InspectionSchedule } from '../../src/queues/inspection-schedule.ts';
import { systemClock } from '../../src/util/clock.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createManualClock } from '../support/manual-clock.ts';

type Inspect = (queues: readonly string[], signal: AbortSignal) => Promise<void>;

function make(inspect: Inspect, onError: (error: unknown) => void = () => undefined): InspectionSchedule {
  const schedule = createInspectionSchedule({ clock: systemClock, inspect, onError });
  addCleanup(() => schedule.stop());
  return schedule;
}

const BURST = 25_000;

describe('the inspection schedule', () => {
  it('inspects a queue once that was scheduled several times, at the earliest time', async () => {
    const inspected: string[] = [];
    const done = new Promise<void>((resolve) => {
      const schedule = make(async (queues) => {
        inspected.push(...queues);
        if (inspected.includes('last')) resolve();
      });
      schedule.add('often', 60_000);
      schedule.add('often', 10);
      schedule.add('often', 60_000);
      schedule.add('cancelled', 10);
      schedule.cancel('cancelled');
      schedule.add('late', 60_000);
      schedule.add('last', 200);
    });
    await done;
    assert.deepEqual(inspected, ['often', 'last']);
  });

  it('inspects queues together that are added one after the other', async () => {
    const clock = createManualClock();
    const batches: (readonly string[])[] = [];
    await new Promise<void>((resolve) => {
      const inspect: Inspect = async (queues) => {
        batches.push(queues);
        if (batches.length === 1) clock.advance(1_000);
        else resolve();
      };
      const schedule = createInspectionSchedule({ clock, inspect, onError: () => undefined });
      addCleanup(() => schedule.stop());
      for (let queue = 0; queue < 90; queue += 1) {
        schedule.addToBatch(`queue/${queue}`, 10);
        clock.advance(10);
      }
      schedule.addToBatch('later', 200);
      clock.advance(100);
    });
    assert.deepEqual(
      batches.map(({ length }) => length),
      [90, 1],
    );
  });

  it('bounds its memory in a burst, and inspects at most 500 queues at a time', async () => {
    const batches: number[] = [];
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let inspected = 0;
    const done = new Promise<void>((resolve) => {
      const schedule = make(async (queues) => {
        await gate;
        batches.push(queues.length);
        inspected += queues.length;
        if (inspected === 10_000) resolve();
      });
      for (let event = 0; event < BURST; event += 1) schedule.add(`queue/${event}`, 0);
      assert.equal(schedule.size, 10_000);
      open();
    });
    await done;
    assert.ok(Math.max(...batches) <= 500);
  });

  it('continues after an inspection that failed, and reports the error', async () => {
    const errors: unknown[] = [];
    await new Promise<void>((resolve) => {
      const schedule = make(
        async ([queue]) => {
          if (queue === 'good') resolve();
          else throw new Error('no broker');
        },
        (error) => {
          errors.push(error);
          schedule.add('good', 0);
        },
      );
      schedule.add('bad', 0);
    });
    assert.equal(errors.length, 1);
  });

  it('aborts the running inspection when it is stopped', async () => {
    let begun = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const errors: unknown[] = [];
    const schedule = make(
      (_queues, signal) => {
        begun();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
      },
      (error) => errors.push(error),
    );
    schedule.add('x', 0);
    await started;
    await schedule.stop();
    schedule.add('y', 0);
    assert.deepEqual(errors, []);
  });

  it('remembers for a minute which queues were created or deleted', () => {
    const clock = createManualClock();
    const schedule = createInspectionSchedule({ clock, inspect: async () => undefined, onError: () => undefined });
    const sinceMs = clock.monotonicMs();
    assert.equal(schedule.wasReplacedSince('x', sinceMs), false);
    clock.advance(10);
    schedule.recordReplacement('x');
    assert.equal(schedule.wasReplacedSince('x', sinceMs), true);
    assert.equal(schedule.wasReplacedSince('x', sinceMs + 11), false);
    assert.equal(schedule.wasReplacedSince('y', sinceMs), false);
    for (let event = 0; event < BURST; event += 1) schedule.recordReplacement(`queue/${event}`);
    assert.equal(schedule.wasReplacedSince(`queue/${BURST - 1}`, sinceMs), true);
    clock.advance(61_000);
    schedule.recordReplacement('z');
    assert.equal(schedule.wasReplacedSince(`queue/${BURST - 1}`, sinceMs), false);
  });
});
