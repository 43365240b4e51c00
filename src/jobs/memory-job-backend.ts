import { randomUUID } from 'node:crypto';
import {
  type AgendaBackend,
  computeJobState,
  type JobParameters,
  type JobRepository,
  type JobRepositoryOptions,
  type JobsOverview,
  type JobsQueryOptions,
  type JobsResult,
  type RemoveJobsOptions,
  toJobId,
} from 'agenda';
import { type JobBackend, MAX_LOCK_AHEAD_MS, maxRunAheadMs } from './job-backend.ts';

/** The fields that Agenda's processor changes; a request for a job sets all others. */
const STATE = [
  'lockedAt',
  'nextRunAt',
  'lastRunAt',
  'progress',
  'failReason',
  'failCount',
  'failedAt',
  'lastFinishedAt',
] as const;

/**
 * Keeps jobs in memory, for a store with one agent. A restart loses only triggered jobs, whose work the recurring ones do.
 * It behaves as Agenda's backend for MongoDB does, and passes the same tests.
 */
export function createMemoryBackend(): JobBackend {
  const repository = new MemoryJobs();
  const agenda: AgendaBackend = {
    name: 'memory',
    repository,
    ownsConnection: false,
    connect: () => repository.connect(),
    disconnect: async () => undefined,
  };
  return { agenda, ensureRecurring: async (job) => repository.ensureRecurring(job) };
}

class MemoryJobs implements JobRepository {
  readonly #jobs = new Map<string, JobParameters>();

  async connect(): Promise<void> {}

  async queryJobs(options: JobsQueryOptions = {}): Promise<JobsResult> {
    const { name, names, state, id, ids, search, data, includeDisabled = true, skip = 0, limit = 0 } = options;
    const sort = Object.entries(options.sort ?? { nextRunAt: 'desc', lastRunAt: 'desc' });
    const now = new Date();
    const found = [...this.#jobs.values()]
      .filter((job) => name === undefined || job.name === name)
      .filter((job) => names === undefined || names.length === 0 || names.includes(job.name))
      .filter((job) => id === undefined || job._id === id)
      .filter((job) => ids === undefined || ids.length === 0 || ids.includes(String(job._id)))
      .filter((job) => search === undefined || job.name.toLowerCase().includes(search.toLowerCase()))
      .filter((job) => data === undefined || contains(job.data, data))
      .filter((job) => includeDisabled || job.disabled !== true)
      .map((job) => ({ ...structuredClone(job), _id: toJobId(String(job._id)), state: computeJobState(job, now) }))
      .filter((job) => state === undefined || (state === 'paused' ? job.disabled === true : job.state === state))
      .toSorted((a, b) => {
        for (const [field, direction] of sort) {
          const order = compare(Reflect.get(a, field), Reflect.get(b, field));
          if (order !== 0) return direction === 'asc' ? order : -order;
        }
        return 0;
      });
    return { jobs: found.slice(skip, limit > 0 ? skip + limit : undefined), total: found.length };
  }

  async getJobsOverview(): Promise<JobsOverview[]> {
    const now = new Date();
    return (await this.getDistinctJobNames()).map((name) => {
      const jobs = [...this.#jobs.values()].filter((job) => job.name === name);
      const overview: JobsOverview = {
        name,
        total: jobs.length,
        running: 0,
        scheduled: 0,
        queued: 0,
        completed: 0,
        failed: 0,
        repeating: 0,
        paused: jobs.filter(({ disabled }) => disabled === true).length,
      };
      for (const job of jobs) {
        const state = computeJobState(job, now);
        if (state !== 'paused') overview[state] += 1;
      }
      return overview;
    });
  }

  async getDistinctJobNames(): Promise<string[]> {
    return [...new Set([...this.#jobs.values()].map(({ name }) => name))];
  }

  async getJobById(id: string): Promise<JobParameters | null> {
    return structuredClone(this.#jobs.get(id)) ?? null;
  }

  async getQueueSize(): Promise<number> {
    const now = Date.now();
    return [...this.#jobs.values()].filter(({ nextRunAt }) => nextRunAt !== null && nextRunAt.getTime() < now).length;
  }

  async removeJobs(options: RemoveJobsOptions): Promise<number> {
    const selected = this.#selected(options);
    for (const job of selected) this.#jobs.delete(String(job._id));
    return selected.length;
  }

  async disableJobs(options: RemoveJobsOptions): Promise<number> {
    return this.#setDisabled(options, true);
  }

  async enableJobs(options: RemoveJobsOptions): Promise<number> {
    return this.#setDisabled(options, false);
  }

  async purgeAllJobs(): Promise<number> {
    const { size } = this.#jobs;
    this.#jobs.clear();
    return size;
  }

  async saveJob<DATA = unknown>(
    job: JobParameters<DATA>,
    options: JobRepositoryOptions | undefined,
  ): Promise<JobParameters<DATA>> {
    const { _id, unique, uniqueOpts, ...given } = structuredClone(job);
    const properties = { ...given, ...modifier(options) };
    const known = this.#known(job);
    if (_id !== undefined && known === undefined) return job;
    if (known === undefined) {
      const id = _id ?? toJobId(randomUUID());
      const kept = withoutUndefined({ ...properties, _id: id }) as JobParameters;
      this.#jobs.set(id, kept);
      return structuredClone(kept) as JobParameters<DATA>;
    }
    if (unique !== undefined && uniqueOpts?.insertOnly === true) return structuredClone(known) as JobParameters<DATA>;
    // A recurring job that is due stays due: saving it again must not skip the run.
    const isDue = properties.type === 'single' && properties.nextRunAt !== null && properties.nextRunAt <= new Date();
    const nextRunAt = isDue ? known.nextRunAt : properties.nextRunAt;
    const cleared = Object.fromEntries(STATE.map((field) => [field, undefined]));
    const kept = withoutUndefined({ ...known, ...cleared, ...properties, nextRunAt }) as JobParameters;
    this.#jobs.set(String(known._id), kept);
    return structuredClone(kept) as JobParameters<DATA>;
  }

  async saveJobState(job: JobParameters, options: JobRepositoryOptions | undefined): Promise<void> {
    const known = this.#jobs.get(String(job._id));
    if (known === undefined || known.name !== job.name) throw new Error(`Job ${String(job._id)} does not exist.`);
    const state = structuredClone(Object.fromEntries(STATE.map((field) => [field, job[field]])));
    this.#jobs.set(String(job._id), withoutUndefined({ ...known, ...state, ...modifier(options) }) as JobParameters);
  }

  async lockJob(job: JobParameters, options: JobRepositoryOptions | undefined): Promise<JobParameters | undefined> {
    const known = this.#jobs.get(String(job._id));
    if (known?.name !== job.name || known.lockedAt !== undefined || known.disabled === true) return undefined;
    if (known.nextRunAt?.getTime() !== job.nextRunAt?.getTime()) return undefined;
    return this.#lock(known, new Date(), options);
  }

  async unlockJob({ _id }: JobParameters): Promise<void> {
    const known = this.#jobs.get(String(_id));
    if (known !== undefined && known.nextRunAt !== null) delete known.lockedAt;
  }

  async unlockJobs(ids: readonly string[]): Promise<void> {
    for (const id of ids) delete this.#jobs.get(id)?.lockedAt;
  }

  async getNextJobToRun(
    name: string,
    nextScanAt: Date,
    lockDeadline: Date,
    now: Date | undefined,
    options: JobRepositoryOptions | undefined,
  ): Promise<JobParameters | undefined> {
    const [next] = [...this.#jobs.values()]
      .filter((job) => job.name === name && job.disabled !== true)
      .filter(({ lockedAt, nextRunAt }) =>
        lockedAt === undefined ? nextRunAt !== null && nextRunAt <= nextScanAt : lockedAt <= lockDeadline,
      )
      .toSorted((a, b) => compare(a.nextRunAt, b.nextRunAt) || b.priority - a.priority);
    return next === undefined ? undefined : this.#lock(next, now ?? new Date(), options);
  }

  ensureRecurring(recurring: Parameters<JobBackend['ensureRecurring']>[0]): void {
    const { name, everyMs } = recurring;
    const now = new Date();
    const known = [...this.#jobs.values()].find((job) => job.name === name && job.repeatInterval !== undefined);
    const created: JobParameters = { name, type: 'normal', priority: 0, data: {}, nextRunAt: now };
    const job: JobParameters = { _id: toJobId(randomUUID()), ...created, ...known, repeatInterval: everyMs };
    if ((job.lockedAt?.getTime() ?? 0) > now.getTime() + MAX_LOCK_AHEAD_MS) delete job.lockedAt;
    const isWrong = job.nextRunAt === null || job.nextRunAt.getTime() > now.getTime() + maxRunAheadMs(recurring);
    if (job.lockedAt === undefined && isWrong) job.nextRunAt = now;
    this.#jobs.set(String(job._id), job);
  }

  #lock(job: JobParameters, lockedAt: Date, options: JobRepositoryOptions | undefined): JobParameters {
    const locked = { ...job, lockedAt, ...modifier(options) };
    this.#jobs.set(String(job._id), locked);
    return structuredClone(locked);
  }

  /** The job that a save is about, if there is one. */
  #known({ _id, name, type, unique }: JobParameters): JobParameters | undefined {
    if (_id !== undefined) return this.#jobs.get(_id);
    const jobs = [...this.#jobs.values()].filter((job) => job.name === name);
    if (type === 'single') return jobs.find((job) => job.type === 'single');
    if (unique === undefined) return undefined;
    return jobs.find((job) => Object.entries(unique).every(([path, value]) => equal(at(job, path), value)));
  }

  #selected({ id, ids, name, names, notNames, data }: RemoveJobsOptions): JobParameters[] {
    const wanted = id === undefined ? ids : [id];
    if (
      wanted === undefined &&
      name === undefined &&
      names === undefined &&
      notNames === undefined &&
      data === undefined
    ) {
      return [];
    }
    return [...this.#jobs.values()]
      .filter((job) => wanted === undefined || wanted.map(String).includes(String(job._id)))
      .filter((job) => name === undefined || job.name === name)
      .filter((job) => names === undefined || names.includes(job.name))
      .filter((job) => notNames === undefined || !notNames.includes(job.name))
      .filter((job) => data === undefined || contains(job.data, data));
  }

  #setDisabled(options: RemoveJobsOptions, disabled: boolean): number {
    const jobs = this.#selected(options);
    for (const job of jobs) this.#jobs.set(String(job._id), { ...job, disabled });
    return jobs.length;
  }
}

function modifier(options: JobRepositoryOptions | undefined): { lastModifiedBy?: string } {
  return options?.lastModifiedBy === undefined ? {} : { lastModifiedBy: options.lastModifiedBy };
}

function withoutUndefined(job: object): object {
  return Object.fromEntries(Object.entries(job).filter(([, value]) => value !== undefined));
}

/** The value at a path such as `data.subject`. */
function at(value: unknown, path: string): unknown {
  return path.split('.').reduce((inner, key) => (isObject(inner) ? Reflect.get(inner, key) : undefined), value);
}

/** As MongoDB compares: an absent value equals null. */
function equal(one: unknown, other: unknown): boolean {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

/** Whether everything in `part` is in `whole`. */
function contains(whole: unknown, part: unknown): boolean {
  if (!isObject(part)) return equal(whole, part);
  return Object.entries(part).every(([key, value]) =>
    contains(isObject(whole) ? Reflect.get(whole, key) : null, value),
  );
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Orders absent values first. */
function compare(one: unknown, other: unknown): number {
  const [a, b] = [one, other].map((value) => (value instanceof Date ? value.getTime() : value));
  if (a === b) return 0;
  if (a === undefined || a === null) return -1;
  if (b === undefined || b === null) return 1;
  return a < b ? -1 : 1;
}
