import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import type { RecurringJob, TriggeredJob } from '../../src/jobs/jobs.ts';
import { type Scheduler, type SchedulerOptions, startScheduler } from '../../src/jobs/scheduler.ts';
import { createLog } from '../../src/util/log.ts';
import { addCleanup } from '../support/cleanup.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';

const EVERY_MS = 800;
const HOUR = 3_600_000;

/** A job and what became of it. */
class Work {
  /** When each run began, in ms of the monotonic clock. */
  readonly begun: number[] = [];
  readonly subjects: string[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  do: (signal: AbortSignal) => Promise<number | void> = async () => undefined;
  readonly #waiting = new Set<() => void>();

  readonly recurring: RecurringJob = { name: 'work', everyMs: EVERY_MS, run: (signal) => this.#run('', signal) };
  readonly triggered: TriggeredJob = {
    name: 'look',
    run: async (subject, signal) => void (await this.#run(subject, signal)),
  };

  /** Resolves when so many runs have begun. */
  async begins(runs: number): Promise<void> {
    while (this.begun.length < runs) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async #run(subject: string, signal: AbortSignal): Promise<number | void> {
    this.begun.push(performance.now());
    this.subjects.push(subject);
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    try {
      return await this.do(signal);
    } finally {
      this.atOnce -= 1;
    }
  }
}

describe('the schedule of jobs', function () {
  this.timeout(60_000);

  const start = async (work: Work, more: Partial<SchedulerOptions> = {}): Promise<Scheduler & { lines: string[] }> => {
    const lines: string[] = [];
    const log = createLog({ id: 'agent', logLevel: 'debug' }, { write: (line) => void lines.push(line) });
    const schedule = await startScheduler({
      store: { kind: 'lmdb' },
      recurring: [work.recurring],
      triggered: [work.triggered],
      log,
      ...more,
    });
    addCleanup(() => schedule.stop(1000));
    return { ...schedule, lines };
  };

  concurrentTests((it) => {
    it('runs a recurring job again when its run has said, in place of its interval', async () => {
      const work = new Work();
      work.do = async () => EVERY_MS;
      await start(work, { recurring: [{ ...work.recurring, everyMs: HOUR }] });
      await work.begins(3);
      for (const [index, at] of work.begun.entries()) {
        assert.ok(index === 0 || at - (work.begun[index - 1] ?? 0) > EVERY_MS * 0.9);
      }
    });

    it('leaves a recurring job its own time, when that is further away than its interval', async () => {
      const [pausing, other] = [new Work(), new Work()];
      pausing.do = async () => HOUR;
      const recurring = [
        { ...pausing.recurring, longestPauseMs: HOUR },
        { ...other.recurring, name: 'other' },
      ];
      await start(pausing, { recurring, keepEveryMs: 100 });
      await Promise.all([pausing.begins(1), other.begins(4)]);
      assert.equal(pausing.begun.length, 1);
    });

    it('runs a recurring job again and again, at its interval', async () => {
      const work = new Work();
      await start(work);
      await work.begins(4);
      // A scan may come late on a loaded machine, never early.
      for (const [index, at] of work.begun.entries()) {
        assert.ok(index === 0 || at - (work.begun[index - 1] ?? 0) > EVERY_MS * 0.9);
      }
      assert.equal(work.mostAtOnce, 1);
    });

    it('runs a job that throws again, and tells the log alone', async () => {
      const work = new Work();
      work.do = () => Promise.reject(new Error('broken by a test'));
      const { lines } = await start(work);
      await work.begins(3);
      assert.ok(lines.filter((line) => line.includes('job_failed') && line.includes('broken by a test')).length >= 2);
    });

    it('runs a triggered job once for a subject, and once more when asked while it runs', async () => {
      const work = new Work();
      const held = new AbortController();
      work.do = () => until(held.signal);
      const schedule = await start(work, { recurring: [] });
      for (let times = 0; times < 5; times += 1) schedule.trigger('look', 'a');
      schedule.trigger('look', 'b');
      await work.begins(2);
      assert.deepEqual(work.subjects.toSorted(), ['a', 'b']);
      schedule.trigger('look', 'a');
      await work.begins(3);
      held.abort();
      await sleep(1500);
      assert.deepEqual(work.subjects.toSorted(), ['a', 'a', 'b']);
    });

    it('tells a job that runs to end when it stops, and waits for that', async () => {
      const work = new Work();
      let ended = false;
      work.do = async (signal) => {
        await until(signal);
        await sleep(300);
        ended = true;
      };
      const schedule = await start(work);
      await work.begins(1);
      await schedule.stop(20_000);
      assert.ok(ended);
      assert.ok(!schedule.lines.some((line) => line.includes('jobs_abandoned')));
    });

    it('gives up at its deadline a job that never ends', async () => {
      const work = new Work();
      work.do = () => new Promise(() => undefined);
      const schedule = await start(work);
      await work.begins(1);
      await schedule.stop(100);
      assert.ok(schedule.lines.some((line) => line.includes('jobs_abandoned') && line.includes('work')));
    });

    it('runs a job that was locked for longer than a lock lasts before it began', async () => {
      // A job is locked up to half a second before it is due: longer than this lock.
      const work = new Work();
      await start(work, { lockMs: 90 });
      await work.begins(4);
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
      it('runs a job once at a time, whoever else starts or starts again meanwhile', async () => {
        const store = makeStore();
        const work = new Work();
        work.do = () => sleep(1200);
        await start(work, { store: store() });
        await work.begins(1);
        const others = await Promise.all([start(work, { store: store() }), start(work, { store: store() })]);
        assert.equal(work.begun.length, 1, 'a job that runs is not started by whoever comes');
        await work.begins(3);
        await others[0].stop(5000);
        await start(work, { store: store() });
        await work.begins(6);
        assert.equal(work.mostAtOnce, 1);
        const gaps = work.begun.slice(1).map((at, index) => at - (work.begun[index] ?? 0));
        assert.ok(Math.min(...gaps) > 1100, `none is doubled: ${gaps.join(', ')}`);
      });

      it('takes up the job of an agent that died in it', async () => {
        const store = makeStore();
        const dead = new Work();
        dead.do = () => new Promise(() => undefined);
        const { db } = store();
        await start(dead, { store: { kind: 'mongodb', db } });
        await dead.begins(1);
        const alive = new Work();
        await start(alive, { store: store(), lockMs: 1500 });
        await sleep(2500);
        assert.equal(alive.begun.length, 0, 'who runs it keeps its lock');
        // Whoever is dead touches nothing; this one does now and then.
        while (alive.begun.length === 0) {
          await db.collection('jobs').updateMany({}, { $set: { lockedAt: new Date(Date.now() - 1500) } });
          await sleep(100);
        }
      });

      it('goes on when the store was away, and when a job ran meanwhile', async () => {
        const store = makeStore();
        const mongodb = new URL(server().url);
        const relay = await makeRelay(Number(mongodb.port), mongodb.hostname);
        mongodb.port = String(relay.port);
        const work = new Work();
        const held = new AbortController();
        work.do = () => until(held.signal);
        const { lines } = await start(work, { store: store(mongodb.href), lockMs: 1000 });
        await work.begins(1);
        relay.cut();
        held.abort();
        await sleep(2500);
        relay.restore();
        await work.begins(3);
        assert.ok(lines.some((line) => line.includes('scheduler_error')));
      });

      it('is not put off by what a wrong clock wrote, and survives the loss of the collection', async () => {
        const store = makeStore();
        const { db } = store();
        const work = new Work();
        await start(work, { store: store(), keepEveryMs: 300 });
        await work.begins(1);
        for (const wrong of [{ nextRunAt: new Date(Date.now() + HOUR) }, { lockedAt: new Date(Date.now() + HOUR) }]) {
          const runs = work.begun.length;
          await db.collection('jobs').updateMany({}, { $set: wrong });
          await work.begins(runs + 3);
        }
        const runs = work.begun.length;
        await db.collection('jobs').drop();
        await work.begins(runs + 3);
      });
    });
  });
});

async function until(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
