import assert from 'node:assert/strict';
import type { JobParameters, JobRepository } from 'agenda';
import type { JobBackend } from '../../src/jobs/job-backend.ts';

const SECOND = 1000;
const HOUR = 3_600_000;

/** Concurrent callers, and the jobs that they race for. */
const JOBS = 8;
const CALLERS = 24;

/** What every job backend must do; each test begins without jobs. */
export function describeJobBackend(title: string, open: () => Promise<JobBackend>): void {
  describe(`a job backend ${title}`, () => {
    let backend: JobBackend;
    let jobs: JobRepository;

    beforeEach(async () => {
      backend = await open();
      jobs = backend.agenda.repository;
      await backend.agenda.connect();
      await jobs.purgeAllJobs();
    });

    const add = (more: Partial<JobParameters> = {}): Promise<JobParameters> =>
      jobs.saveJob({ name: 'work', type: 'normal', priority: 0, data: {}, nextRunAt: ago(SECOND), ...more }, undefined);
    /** Locks the next job as a scan at this moment does; a lock is old after an hour. */
    const next = (name = 'work'): Promise<JobParameters | undefined> =>
      jobs.getNextJobToRun(name, new Date(), ago(HOUR), undefined, undefined);
    const stored = async (job: JobParameters): Promise<JobParameters> =>
      (await jobs.getJobById(String(job._id))) ?? assert.fail('the job should be there');

    it('locks a due job for one caller only', async () => {
      const job = await add();
      const locked = await next();
      assert.equal(String(locked?._id), String(job._id));
      assert.ok(Math.abs((locked?.lockedAt?.getTime() ?? 0) - Date.now()) < 10 * SECOND);
      assert.equal(await next(), undefined);
      assert.equal(await next('other'), undefined);
      assert.equal(await jobs.lockJob(await stored(job), undefined), undefined);
    });

    it(`gives each of ${JOBS} jobs to one of ${CALLERS} callers`, async () => {
      for (let n = 0; n < JOBS; n += 1) await add({ data: { n } });
      const taken = await Promise.all(Array.from({ length: CALLERS }, () => next()));
      const numbers = taken.flatMap((job) => (job === undefined ? [] : [(job.data as { n: number }).n]));
      assert.deepEqual(
        numbers.toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4, 5, 6, 7],
      );
    });

    it('does not give out a job that is not due', async () => {
      await add({ nextRunAt: new Date(Date.now() + HOUR) });
      assert.equal(await next(), undefined);
    });

    it('gives out a job again when its lock has expired, and not before', async () => {
      const job = await add();
      await jobs.getNextJobToRun('work', new Date(), ago(HOUR), ago(HOUR - 60 * SECOND), undefined);
      assert.equal(await next(), undefined);
      await jobs.saveJobState({ ...(await stored(job)), lockedAt: ago(HOUR + SECOND) }, undefined);
      assert.equal(String((await next())?._id), String(job._id));
      assert.equal(await next(), undefined);
    });

    it('gives out a job again that was unlocked, by its runner or by a stopping agent', async () => {
      const job = await add();
      await next();
      await jobs.unlockJob(job);
      assert.ok((await next()) !== undefined);
      // A one-off job that runs: only a caller that knows that it was abandoned may unlock it.
      await jobs.saveJobState({ ...(await stored(job)), nextRunAt: null }, undefined);
      await jobs.unlockJob(job);
      assert.ok((await stored(job)).lockedAt !== undefined);
      await jobs.unlockJobs([String(job._id)]);
      assert.equal((await stored(job)).lockedAt, undefined);
      assert.equal(await next(), undefined, 'it is not due');
    });

    it('locks a given job for one caller, unless it has changed', async () => {
      const job = await add();
      const seen = await stored(job);
      assert.equal(await jobs.lockJob({ ...seen, nextRunAt: ago(HOUR) }, undefined), undefined);
      const locked = await Promise.all([jobs.lockJob(seen, undefined), jobs.lockJob(seen, undefined)]);
      assert.equal(locked.filter((found) => found !== undefined).length, 1);
    });

    it('extends the lock of a job that is touched', async () => {
      const job = await add();
      const locked = (await next()) ?? assert.fail();
      const touchedAt = new Date(Date.now() + SECOND);
      await jobs.saveJobState({ ...locked, lockedAt: touchedAt, progress: 40 }, undefined);
      const now = await stored(job);
      assert.equal(now.lockedAt?.getTime(), touchedAt.getTime());
      assert.equal(now.progress, 40);
      assert.deepEqual(now.data, {});
      await jobs.removeJobs({ id: String(job._id) });
      await assert.rejects(jobs.saveJobState(locked, undefined));
    });

    it('gives out jobs in the order of their time, then of their priority', async () => {
      const at = ago(10 * SECOND);
      await add({ data: 'third', priority: 10 });
      await add({ data: 'second', nextRunAt: at, priority: -10 });
      await add({ data: 'first', nextRunAt: at, priority: 20 });
      assert.deepEqual(
        [(await next())?.data, (await next())?.data, (await next())?.data],
        ['first', 'second', 'third'],
      );
    });

    it('keeps one unique job, unchanged when it is insert-only', async () => {
      const unique = { 'data.subject': 'a', lockedAt: null };
      const request = (data: object, insertOnly = true) => add({ data, unique, uniqueOpts: { insertOnly } });
      const first = await request({ subject: 'a', times: 1 });
      const second = await request({ subject: 'a', times: 2 });
      assert.equal(String(second._id), String(first._id));
      assert.deepEqual((await stored(first)).data, { subject: 'a', times: 1 });
      await request({ subject: 'a', times: 3 }, false);
      assert.deepEqual((await stored(first)).data, { subject: 'a', times: 3 });
      await add({ data: { subject: 'b' }, unique: { 'data.subject': 'b', lockedAt: null } });
      assert.equal((await jobs.queryJobs({})).total, 2);
      await next();
      await next();
      const later = await request({ subject: 'a', times: 4 });
      assert.notEqual(String(later._id), String(first._id), 'a run in progress should not count');
    });

    it('keeps one single job, and leaves a due one due', async () => {
      const due = ago(HOUR);
      const first = await add({ type: 'single', nextRunAt: due });
      await add({ type: 'single', nextRunAt: ago(SECOND), data: 'new' });
      const kept = await stored(first);
      assert.deepEqual([kept.nextRunAt?.getTime(), kept.data], [due.getTime(), 'new']);
      assert.equal((await jobs.queryJobs({})).total, 1);
    });

    it('does not give out disabled jobs until they are enabled', async () => {
      const job = await add();
      await add({ name: 'other' });
      assert.equal(await jobs.disableJobs({ name: 'work' }), 1);
      assert.equal(await next(), undefined);
      assert.equal(await jobs.lockJob(await stored(job), undefined), undefined);
      assert.ok((await next('other')) !== undefined);
      assert.deepEqual(
        (await jobs.queryJobs({ includeDisabled: false })).jobs.map(({ name }) => name),
        ['other'],
      );
      assert.equal(await jobs.enableJobs({ name: 'work' }), 1);
      assert.ok((await next()) !== undefined);
      assert.equal(await jobs.disableJobs({}), 0);
    });

    it('removes jobs by id, name and data, none without a criterion, and purges them', async () => {
      const one = await add({ data: { subject: 'a' } });
      await add({ data: { subject: 'b', deep: { more: 1 } } });
      await add({ name: 'other', data: { subject: 'b' } });
      await add({ name: 'third' });
      assert.equal(await jobs.removeJobs({}), 0);
      assert.equal(await jobs.removeJobs({ id: String(one._id) }), 1);
      assert.equal(await jobs.getJobById(String(one._id)), null);
      assert.equal(await jobs.removeJobs({ data: { deep: { more: 1 } } }), 1);
      assert.deepEqual((await jobs.getDistinctJobNames()).toSorted(), ['other', 'third']);
      assert.equal(await jobs.removeJobs({ notNames: ['third'] }), 1);
      assert.equal(await jobs.purgeAllJobs(), 1);
      assert.equal((await jobs.queryJobs({})).total, 0);
    });

    it('lists jobs by criteria, in pages', async () => {
      for (const priority of [3, 1, 2]) await add({ priority, data: { subject: `s${priority}` } });
      const sorted = await jobs.queryJobs({ name: 'work', sort: { priority: 'asc' }, skip: 1, limit: 1 });
      assert.deepEqual([sorted.total, sorted.jobs.map(({ priority }) => priority)], [3, [2]]);
      assert.equal((await jobs.queryJobs({ data: { subject: 's3' } })).jobs[0]?.priority, 3);
      assert.equal((await jobs.queryJobs({ search: 'OR' })).total, 3);
      assert.equal(await jobs.getQueueSize(), 3);
    });

    describe('with recurring jobs', () => {
      const recurring = async (): Promise<JobParameters> => {
        const { jobs: found } = await jobs.queryJobs({ name: 'again' });
        assert.equal(found.length, 1);
        return found[0] ?? assert.fail();
      };

      it('creates each once for concurrent callers, due immediately', async () => {
        await Promise.all(
          Array.from({ length: CALLERS }, () => backend.ensureRecurring({ name: 'again', everyMs: HOUR })),
        );
        const { nextRunAt, repeatInterval } = await recurring();
        assert.ok(nextRunAt !== null && nextRunAt <= new Date());
        assert.equal(repeatInterval, HOUR);
      });

      it('keeps lock and time of an existing one, and changes its interval', async () => {
        await backend.ensureRecurring({ name: 'again', everyMs: HOUR });
        const locked = (await next('again')) ?? assert.fail();
        await backend.ensureRecurring({ name: 'again', everyMs: HOUR });
        assert.equal((await recurring()).lockedAt?.getTime(), locked.lockedAt?.getTime());
        const soon = new Date(Date.now() + 60 * SECOND);
        await jobs.saveJobState({ ...unlocked(locked), nextRunAt: soon }, undefined);
        await backend.ensureRecurring({ name: 'again', everyMs: 2 * HOUR });
        const now = await recurring();
        assert.deepEqual([now.nextRunAt?.getTime(), now.repeatInterval], [soon.getTime(), 2 * HOUR]);
      });

      it('makes one due whose times a wrong clock put into the future', async () => {
        await backend.ensureRecurring({ name: 'again', everyMs: SECOND });
        const locked = (await next('again')) ?? assert.fail();
        const future = new Date(Date.now() + HOUR);
        for (const wrong of [{ nextRunAt: future }, { nextRunAt: null }, { nextRunAt: future, lockedAt: future }]) {
          await jobs.saveJobState({ ...unlocked(locked), ...wrong }, undefined);
          assert.equal(await next('again'), undefined);
          await backend.ensureRecurring({ name: 'again', everyMs: SECOND });
          assert.ok((await next('again')) !== undefined);
        }
      });

      it('keeps a next run that is within the longest pause', async () => {
        await backend.ensureRecurring({ name: 'again', everyMs: SECOND, longestPauseMs: HOUR });
        const locked = (await next('again')) ?? assert.fail();
        const put = (nextRunAt: Date): Promise<void> =>
          jobs.saveJobState({ ...unlocked(locked), nextRunAt }, undefined);
        await put(new Date(Date.now() + HOUR));
        await backend.ensureRecurring({ name: 'again', everyMs: SECOND, longestPauseMs: HOUR });
        assert.equal(await next('again'), undefined);
        await put(new Date(Date.now() + 2 * HOUR));
        await backend.ensureRecurring({ name: 'again', everyMs: SECOND, longestPauseMs: HOUR });
        assert.ok((await next('again')) !== undefined);
      });
    });
  });
}

function ago(ms: number): Date {
  return new Date(Date.now() - ms);
}

function unlocked(job: JobParameters): JobParameters {
  const copy = { ...job };
  delete copy.lockedAt;
  return copy;
}
