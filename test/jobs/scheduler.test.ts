import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import type { RecurringJob, TriggeredJob } from '../../src/jobs/jobs.ts';
import { createScheduler, type Scheduler, type SchedulerOptions } from '../../src/jobs/scheduler.ts';
import { createLog } from '../../src/util/log.ts';
import { addCleanup } from '../support/cleanup.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';

const EVERY_MS = 800;
const HOUR = 3_600_000;

/** A job and its runs. */
class Work {
  /** When each run started, in ms of the monotonic clock. */
  readonly started: number[] = [];
  readonly subjects: string[] = [];
  concurrent = 0;
  mostConcurrent = 0;
  do: (signal: AbortSignal) => Promise<number | void> = async () => undefined;
  readonly #waiting = new Set<() => void>();

  readonly recurring: RecurringJob = { name: 'work', everyMs: EVERY_MS, run: (signal) => this.#run('', signal) };
  readonly triggered: TriggeredJob = {
    name: 'inspect',
    run: async (subject, signal) => void (await this.#run(subject, signal)),
  };

  /** Resolves when `runs` runs have started. */
  async starts(runs: number): Promise<void> {
    while (this.started.length < runs) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async #run(subject: string, signal: AbortSignal): Promise<number | void> {
    this.started.push(performance.now());
    this.subjects.push(subject);
    this.concurrent += 1;
    this.mostConcurrent = Math.max(this.mostConcurrent, this.concurrent);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    try {
      return await this.do(signal);
    } finally {
      this.concurrent -= 1;
    }
  }
}

describe('the scheduler', function () {
  this.timeout(60_000);

  const start = async (work: Work, more: Partial<SchedulerOptions> = {}): Promise<Scheduler & { lines: string[] }> => {
    const lines: string[] = [];
    const log = createLog({ id: 'agent', logLevel: 'debug' }, { write: (line) => void lines.push(line) });
    const scheduler = createScheduler({
      store: { kind: 'lmdb' },
      recurring: [work.recurring],
      triggered: [work.triggered],
      log,
      ...more,
    });
    addCleanup(() => scheduler.drain(1000));
    await scheduler.start();
    return { ...scheduler, lines };
  };

  concurrentTests((it) => {
    it('runs a recurring job after the pause that a run returns instead of its interval', async () => {
      const work = new Work();
      work.do = async () => EVERY_MS;
      await start(work, { recurring: [{ ...work.recurring, everyMs: HOUR }] });
      await work.starts(3);
      for (const [index, at] of work.started.entries()) {
        assert.ok(index === 0 || at - (work.started[index - 1] ?? 0) > EVERY_MS * 0.9);
      }
    });

    it('keeps the next run of a recurring job that is further away than its interval', async () => {
      const [pausing, other] = [new Work(), new Work()];
      pausing.do = async () => HOUR;
      const recurring = [
        { ...pausing.recurring, longestPauseMs: HOUR },
        { ...other.recurring, name: 'other' },
      ];
      await start(pausing, { recurring, checkEveryMs: 100 });
      await Promise.all([pausing.starts(1), other.starts(4)]);
      assert.equal(pausing.started.length, 1);
    });

    it('runs a recurring job at its interval', async () => {
      const work = new Work();
      await start(work);
      await work.starts(4);
      // A scan may come late on a loaded machine, never early.
      for (const [index, at] of work.started.entries()) {
        assert.ok(index === 0 || at - (work.started[index - 1] ?? 0) > EVERY_MS * 0.9);
      }
      assert.equal(work.mostConcurrent, 1);
    });

    it('runs a job that throws again and logs the error', async () => {
      const work = new Work();
      work.do = () => Promise.reject(new Error('broken by a test'));
      const { lines } = await start(work);
      await work.starts(3);
      assert.ok(lines.filter((line) => line.includes('job_failed') && line.includes('broken by a test')).length >= 2);
    });

    it('runs a triggered job once for a subject, and once more when it is requested during a run', async () => {
      const work = new Work();
      const held = new AbortController();
      work.do = () => until(held.signal);
      const scheduler = await start(work, { recurring: [] });
      for (let times = 0; times < 5; times += 1) scheduler.trigger('inspect', 'a');
      scheduler.trigger('inspect', 'b');
      await work.starts(2);
      assert.deepEqual(work.subjects.toSorted(), ['a', 'b']);
      scheduler.trigger('inspect', 'a');
      await work.starts(3);
      held.abort();
      await sleep(1500);
      assert.deepEqual(work.subjects.toSorted(), ['a', 'a', 'b']);
    });

    it('aborts a job that runs when it drains, and waits for it', async () => {
      const work = new Work();
      let settled = false;
      work.do = async (signal) => {
        await until(signal);
        await sleep(300);
        settled = true;
      };
      const scheduler = await start(work);
      await work.starts(1);
      await scheduler.drain(20_000);
      assert.ok(settled);
      assert.ok(!scheduler.lines.some((line) => line.includes('jobs_abandoned')));
    });

    it('abandons a job that never settles at the deadline', async () => {
      const work = new Work();
      work.do = () => new Promise(() => undefined);
      const scheduler = await start(work);
      await work.starts(1);
      await scheduler.drain(100);
      assert.ok(scheduler.lines.some((line) => line.includes('jobs_abandoned') && line.includes('work')));
    });

    it('runs a job whose lock ran out before its start', async () => {
      // A job is locked up to half a second before it is due: longer than this lock.
      const work = new Work();
      await start(work, { lockMs: 90 });
      await work.starts(4);
    });
  });

  describe('of several agents', () => {
    const server = useSharedMongoDB();

    /** A database, and a client of it for each agent. */
    const makeStore = () => {
      const url = mongoDatabase(server());
      return (at: string = url) => {
        const client = new MongoClient(at, { serverSelectionTimeoutMS: 1000 });
        addCleanup(() => client.close());
        return { kind: 'mongodb', db: client.db(new URL(url).pathname.slice(1)) } as const;
      };
    };

    concurrentTests((it) => {
      it('runs a job once at a time while other agents start and restart', async () => {
        const store = makeStore();
        const work = new Work();
        work.do = () => sleep(1200);
        await start(work, { store: store() });
        await work.starts(1);
        const restarted = await Promise.all([start(work, { store: store() }), start(work, { store: store() })]);
        assert.equal(work.started.length, 1, 'a second agent should not start a job that runs');
        await work.starts(3);
        await restarted[0].drain(5000);
        await start(work, { store: store() });
        await work.starts(6);
        assert.equal(work.mostConcurrent, 1);
        const gaps = work.started.slice(1).map((at, index) => at - (work.started[index] ?? 0));
        assert.ok(Math.min(...gaps) > 1100, `no run should be doubled: ${gaps.join(', ')}`);
      });

      it('takes over the job of an agent that died in it', async () => {
        const store = makeStore();
        const dead = new Work();
        dead.do = () => new Promise(() => undefined);
        const { db } = store();
        await start(dead, { store: { kind: 'mongodb', db } });
        await dead.starts(1);
        const alive = new Work();
        await start(alive, { store: store(), lockMs: 1500 });
        await sleep(2500);
        assert.equal(alive.started.length, 0, 'an agent that runs a job should keep its lock');
        // A dead agent would not extend the lock; this one does.
        while (alive.started.length === 0) {
          await db.collection('jobs').updateMany({}, { $set: { lockedAt: new Date(Date.now() - 1500) } });
          await sleep(100);
        }
      });

      it('recovers from an outage of the store, also during a run', async () => {
        const store = makeStore();
        const mongodb = new URL(server().url);
        const relay = await makeRelay(Number(mongodb.port), mongodb.hostname);
        mongodb.port = String(relay.port);
        const work = new Work();
        const held = new AbortController();
        work.do = () => until(held.signal);
        const { lines } = await start(work, { store: store(mongodb.href), lockMs: 1000 });
        await work.starts(1);
        relay.cut();
        held.abort();
        await sleep(2500);
        relay.restore();
        await work.starts(3);
        assert.ok(lines.some((line) => line.includes('scheduler_error')));
      });

      it('fails to start while the store does not answer, and leaves no rejection behind that ends the process', async () => {
        const store = makeStore();
        const mongodb = new URL(server().url);
        const relay = await makeRelay(Number(mongodb.port), mongodb.hostname);
        mongodb.port = String(relay.port);
        relay.cut();
        const failed = { code: 'StoreUnavailable', message: /^MongoDB did not store a recurring job \(\w+\)\. Check/ };
        await assert.rejects(start(new Work(), { store: store(mongodb.href) }), failed);
      });

      it('recovers from the times of a wrong clock and from the loss of the collection', async () => {
        const store = makeStore();
        const { db } = store();
        const work = new Work();
        await start(work, { store: store(), checkEveryMs: 300 });
        await work.starts(1);
        for (const wrong of [{ nextRunAt: new Date(Date.now() + HOUR) }, { lockedAt: new Date(Date.now() + HOUR) }]) {
          const runs = work.started.length;
          await db.collection('jobs').updateMany({}, { $set: wrong });
          await work.starts(runs + 3);
        }
        const runs = work.started.length;
        await db.collection('jobs').drop();
        await work.starts(runs + 3);
      });
    });
  });
});

async function until(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
