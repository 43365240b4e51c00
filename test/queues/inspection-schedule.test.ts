import assert from 'node:assert/strict';
import { createInspectionSchedule, type InspectionSchedule } from '../../src/queues/inspection-schedule.ts';
import { systemClock } from '../../src/util/clock.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createManualClock } from '../support/manual-clock.ts';

type Look = (queues: readonly string[], signal: AbortSignal) => Promise<void>;

function make(look: Look, onFault: (error: unknown) => void = () => undefined): InspectionSchedule {
  const lookOut = createInspectionSchedule({ clock: systemClock, look, onFault });
  addCleanup(() => lookOut.stop());
  return lookOut;
}

const BURST = 25_000;

describe('the look-out', () => {
  it('looks once at a queue that was asked for several times, at the earliest of them', async () => {
    const looked: string[] = [];
    const done = new Promise<void>((resolve) => {
      const lookOut = make(async (queues) => {
        looked.push(...queues);
        if (looked.includes('last')) resolve();
      });
      lookOut.ask('often', 60_000);
      lookOut.ask('often', 10);
      lookOut.ask('often', 60_000);
      lookOut.ask('dropped', 10);
      lookOut.drop('dropped');
      lookOut.ask('late', 60_000);
      lookOut.ask('last', 200);
    });
    await done;
    assert.deepEqual(looked, ['often', 'last']);
  });

  it('takes a burst with bounded memory, and looks at some hundred queues at a time', async () => {
    const batches: number[] = [];
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let looked = 0;
    const done = new Promise<void>((resolve) => {
      const lookOut = make(async (queues) => {
        await gate;
        batches.push(queues.length);
        looked += queues.length;
        if (looked === 10_000) resolve();
      });
      for (let event = 0; event < BURST; event += 1) lookOut.ask(`queue/${event}`, 0);
      assert.equal(lookOut.waiting, 10_000);
      open();
    });
    await done;
    assert.ok(Math.max(...batches) <= 500);
  });

  it('goes on after a look that failed, and says so', async () => {
    const faults: unknown[] = [];
    await new Promise<void>((resolve) => {
      const lookOut = make(
        async ([queue]) => {
          if (queue === 'good') resolve();
          else throw new Error('no broker');
        },
        (error) => {
          faults.push(error);
          lookOut.ask('good', 0);
        },
      );
      lookOut.ask('bad', 0);
    });
    assert.equal(faults.length, 1);
  });

  it('ends what is under way when it is stopped', async () => {
    let begun = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const faults: unknown[] = [];
    const lookOut = make(
      (_queues, signal) => {
        begun();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
      },
      (error) => faults.push(error),
    );
    lookOut.ask('x', 0);
    await started;
    await lookOut.stop();
    lookOut.ask('y', 0);
    assert.deepEqual(faults, []);
  });

  it('remembers for a while which queues came or went', () => {
    const clock = createManualClock();
    const lookOut = createInspectionSchedule({ clock, look: async () => undefined, onFault: () => undefined });
    const sinceMs = clock.monotonicMs();
    assert.equal(lookOut.isSameSince('x', sinceMs), true);
    clock.advance(10);
    lookOut.renewed('x');
    assert.equal(lookOut.isSameSince('x', sinceMs), false);
    assert.equal(lookOut.isSameSince('x', sinceMs + 11), true);
    assert.equal(lookOut.isSameSince('y', sinceMs), true);
    for (let event = 0; event < BURST; event += 1) lookOut.renewed(`queue/${event}`);
    assert.equal(lookOut.isSameSince(`queue/${BURST - 1}`, sinceMs), false);
    clock.advance(61_000);
    lookOut.renewed('z');
    assert.equal(lookOut.isSameSince(`queue/${BURST - 1}`, sinceMs), true);
  });
});
