import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HASHING_ALGORITHM } from '../src/broker/management/management.ts';
import { hashPassword } from '../src/broker/password-hash.ts';
import { storeTag } from '../src/broker/store-tag.ts';
import { loadConfig } from '../src/config/config.ts';
import { accountName, permissionsOf } from '../src/namespaces/accounts/account-names.ts';
import { createKeyring } from '../src/namespaces/accounts/keyring.ts';
import { openStore } from '../src/store/open-store.ts';
import { systemClock } from '../src/util/clock.ts';
import { freePorts } from '../dev/processes.ts';
import { jobSecondsOf, lastSuccessMsOf } from './agent-metrics.ts';
import { type BuiltAgent, startBuiltAgent } from './built-agent.ts';
import { runClaims } from './claims.ts';
import { type CpuSample, cpuMsIn, type JobWindow } from './job-windows.ts';
import { median } from './limits.ts';
import { withWarmUp } from './load.ts';
import type { SimulatedContents } from './management-process.ts';
import { type BenchProcess, startProcess } from './processes.ts';
import { openRequester, prepareRequest } from './requests.ts';
import type { Site } from './site.ts';
import { activeRecord, changeStore, fillStore } from './stored-namespaces.ts';
import type { Row } from './table.ts';

/** How much is measured. */
export interface ScaleSizes {
  /** How many namespaces, each with a queue; the last size is compared with the first. */
  readonly namespaces: readonly number[];
  /** How many of them are rotated. */
  readonly rotated: number;
  /** For how long the agent's recurring jobs are watched, in ms. */
  readonly watchedMs: number;
  /** The settings `reconcileIntervalSeconds` and `surveyIntervalSeconds` meanwhile. */
  readonly everySeconds: number;
  readonly claims: { readonly rounds: number; readonly count: number };
}

const SIZES: ScaleSizes = {
  namespaces: [10_000, 100_000],
  rotated: 5000,
  watchedMs: 75_000,
  everySeconds: 30,
  claims: { rounds: 3, count: 600 },
};

const JOBS = ['reconcile-broker', 'survey-queues', 'rotate-namespaces'] as const;
type Job = (typeof JOBS)[number];

/** The default: a reconciliation lists the limits of every account. */
const LIMITS = { 'max-connections': 200, 'max-channels': 2000 };

/**
 * From the start of an agent until namespaces are due, in ms: its first two reconciliations and its survey are over then. A
 * busy machine takes longer, which the reconciliations before show.
 */
const SETTLE_MS = 20_000;
const SETTLE_RECONCILIATIONS = 4;
const POLL_EVERY_MS = 500;
const IDLE_MS = 3_000;
const MOST_MB = 300;
/** An hour: no reconciliation runs then. Surveys do. */
const SELDOM_SECONDS = 3600;

/** What the agent needed at one size. */
interface Measured {
  readonly namespaces: number;
  /** Wall and CPU time of one run, in ms. */
  readonly runs: Readonly<Record<Job, { readonly wallMs: number; readonly cpuMs: number }>>;
  readonly peakMb: number;
  readonly claimsPerSecond: number;
}

/**
 * Measures what an agent itself needs for many namespaces: CPU time and memory of a reconciliation, a survey and a
 * rotation, and the rate of new claims. Accounts and queues are simulated at the management API, in a process of its own.
 */
export async function measureScale(
  site: Site,
  progress: (line: string) => void,
  sizes: ScaleSizes = SIZES,
): Promise<Row[]> {
  const measured: Measured[] = [];
  for (const namespaces of sizes.namespaces) {
    measured.push(await measureSize({ site, progress, sizes, storeName: `scaled-store-${namespaces}` }, namespaces));
    await site.forgetStore();
  }
  const [first, last] = [measured[0], measured.at(-1)];
  if (first === undefined || last === undefined) return [];
  const growth = last.namespaces / first.namespaces;
  const size = ({ namespaces }: Measured): string => namespaces.toLocaleString('en');
  const jobRow = (job: Job, what: string, expected: number): Row => {
    const [small, large] = [first.runs[job], last.runs[job]];
    return {
      what: `${what} with ${size(last)} namespaces and as many queues`,
      measured: `CPU ${(large.cpuMs / 1000).toFixed(2)} s, ${(large.wallMs / 1000).toFixed(2)} s in all`,
      limit: `with ${size(first)}: CPU ${(small.cpuMs / 1000).toFixed(2)} s, times ${expected}`,
      ratio: large.cpuMs / (small.cpuMs * expected),
      atMost: 1.2,
      figures: { ...large, firstCpuMs: small.cpuMs },
    };
  };
  return [
    jobRow('reconcile-broker', 'one reconciliation', growth),
    jobRow('survey-queues', 'one survey', growth),
    jobRow('rotate-namespaces', `the rotation of ${sizes.rotated.toLocaleString('en')}`, 1),
    {
      what: `memory at most with ${size(last)} namespaces and as many queues`,
      measured: `${last.peakMb.toFixed(0)} MB resident, without the mapped store`,
      limit: `${MOST_MB} MB; with ${size(first)}: ${first.peakMb.toFixed(0)} MB`,
      ratio: last.peakMb / MOST_MB,
      atMost: 1,
      figures: { peakMb: last.peakMb, firstPeakMb: first.peakMb },
    },
    {
      what: `new claims, 32 in flight, with ${size(last)} namespaces and as many queues`,
      measured: `${Math.round(last.claimsPerSecond)}/s`,
      limit: `with ${size(first)}: ${Math.round(first.claimsPerSecond)}/s`,
      ratio: last.claimsPerSecond / first.claimsPerSecond,
      atLeast: 0.8,
    },
  ];
}

interface Room {
  readonly site: Site;
  readonly progress: (line: string) => void;
  readonly sizes: ScaleSizes;
  readonly storeName: string;
}

async function measureSize(room: Room, namespaces: number): Promise<Measured> {
  const { site, progress, sizes, storeName } = room;
  progress(`preparing ${namespaces} namespaces`);
  const management = await simulateNamespaces(room, namespaces);
  try {
    progress('reconciliations and surveys');
    const jobs = await watchJobs(room, management.url, sizes.everySeconds, async () => {
      await sleep(sizes.watchedMs);
      return Number.NaN;
    });
    progress(`rotation of ${sizes.rotated}`);
    const reconciliations = jobs.windows.filter(({ name }) => name === 'reconcile-broker').map(wallOf);
    const dueMs = Date.now() + SETTLE_MS + SETTLE_RECONCILIATIONS * Math.max(...reconciliations);
    let left = sizes.rotated;
    await changeStore(site.storeUrl(storeName), () => ((left -= 1) < 0 ? {} : { nextRotationMs: dueMs }));
    const rotation = await watchJobs(room, management.url, SELDOM_SECONDS, async (agent) => {
      await sleep(dueMs - Date.now());
      await untilIdle(agent);
      progress('new claims');
      return await claimRate(room, agent, namespaces);
    });
    return {
      namespaces,
      runs: {
        'reconcile-broker': meanRunOf(jobs, 'reconcile-broker'),
        'survey-queues': meanRunOf(jobs, 'survey-queues'),
        'rotate-namespaces': longestRunOf(rotation, 'rotate-namespaces'),
      },
      peakMb: Math.max(jobs.peakMb, rotation.peakMb),
      claimsPerSecond: rotation.result,
    };
  } finally {
    await management.process.stop();
  }
}

/** Waits until an agent uses less than a tenth of a core. */
async function untilIdle(agent: BuiltAgent): Promise<void> {
  for (let before = agent.cpuMs(); ; ) {
    await sleep(IDLE_MS);
    const now = agent.cpuMs();
    if (now - before < IDLE_MS / 10) return;
    before = now;
  }
}

/** Fills a store, and a simulated management API that agrees with it. */
export async function simulateNamespaces(
  { site, storeName }: Pick<Room, 'site' | 'storeName'>,
  namespaces: number,
  messages = 0,
): Promise<{ process: BenchProcess; url: string }> {
  const storeUrl = site.storeUrl(storeName);
  const config = loadConfig(site.agentEnvironment(storeUrl));
  const keyring = createKeyring(config.agentSecret, []);
  const secretId = keyring.currentSecretId;
  const store = await openStore(storeUrl, { clock: systemClock, randomBytes });
  const { storeId } = store;
  await store.close();
  const users: SimulatedContents['users'][number][] = [];
  await fillStore(storeUrl, namespaces, (index) => {
    const record = activeRecord(`${site.names.namespacePrefix}scaled-${index}`, secretId);
    const { namespace, incarnation } = record;
    const name = accountName(config.usernamePrefix, namespace, 1);
    const password = keyring.derive({ secretId, storeId, incarnation, username: name, generation: 1 });
    users.push({
      user: {
        name,
        password_hash: hashPassword(password, randomBytes(4)),
        hashing_algorithm: HASHING_ALGORITHM,
        tags: [storeTag(storeId)],
      },
      permissions: permissionsOf(config, namespace),
      limits: LIMITS,
    });
    return record;
  });
  const queues = Array.from(
    { length: namespaces },
    (_, index) => `queue/${site.names.namespacePrefix}scaled-${index}/q`,
  );
  const file = join(site.folder, 'simulated.json');
  const contents: SimulatedContents = { users, vhost: site.vhost, queues, messages };
  writeFileSync(file, JSON.stringify(contents));
  const [port = 0] = await freePorts(1);
  const simulated = await startProcess('management-process.ts', {
    BENCH_UPSTREAM: new URL(site.managementUrl).origin,
    BENCH_CREDENTIALS: `${site.user}:${site.password}`,
    BENCH_USER_PREFIX: `${site.names.usernamePrefix}${site.names.namespacePrefix}`,
    BENCH_QUEUE_PREFIX: `queue/${site.names.namespacePrefix}`,
    BENCH_PORT: String(port),
    BENCH_CONTENTS: file,
  });
  return { process: simulated, url: `http://${site.user}:${site.password}@127.0.0.1:${port}` };
}

interface Watched {
  readonly windows: readonly JobWindow[];
  readonly samples: readonly CpuSample[];
  readonly peakMb: number;
  readonly result: number;
}

/** Runs an agent during `work`, and finds out when its jobs ran and how much CPU time it had used by when. */
async function watchJobs(
  { site, storeName }: Room,
  managementUrl: string,
  everySeconds: number,
  work: (agent: BuiltAgent) => Promise<number>,
): Promise<Watched> {
  const [httpPort = 0] = await freePorts(1);
  const settings = site.writeSettings({
    reconcileIntervalSeconds: everySeconds,
    surveyIntervalSeconds: everySeconds,
    accountLimits: LIMITS,
  });
  const agent = await startBuiltAgent(site, storeName, {
    environment: {
      HTTP_PORT: String(httpPort),
      PULSE_AGENT_CONFIG: settings,
      RABBITMQ_MANAGEMENT_URL: managementUrl,
    },
  });
  const stopping = new AbortController();
  try {
    const watching = watch(agent, httpPort, stopping.signal);
    const result = await work(agent);
    stopping.abort();
    return { ...(await watching), result };
  } finally {
    stopping.abort();
    await agent.stop();
  }
}

async function watch(agent: BuiltAgent, httpPort: number, signal: AbortSignal): Promise<Omit<Watched, 'result'>> {
  const windows: JobWindow[] = [];
  const samples: CpuSample[] = [];
  const seen = new Map<string, { readonly endMs: number | undefined; readonly seconds: number }>();
  let peakMb = 0;
  while (!signal.aborted) {
    samples.push({ atMs: Date.now(), cpuMs: agent.cpuMs() });
    peakMb = Math.max(peakMb, agent.memory().ownMb);
    const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
    for (const job of [...JOBS, 'reconcile-broker-soon', 'survey-queues-soon']) {
      const endMs = lastSuccessMsOf(metrics, job);
      const seconds = jobSecondsOf(metrics, job);
      const last = seen.get(job);
      const tookMs = (seconds - (last?.seconds ?? 0)) * 1000;
      // The reconciliation of the start counts as a success, and is no run of the job.
      if (endMs !== undefined && endMs !== last?.endMs && tookMs > 0) {
        windows.push({ name: job, fromMs: endMs - tookMs, toMs: endMs });
      }
      seen.set(job, { endMs, seconds });
    }
    await sleep(POLL_EVERY_MS);
  }
  return { windows, samples, peakMb };
}

function wallOf({ fromMs, toMs }: JobWindow): number {
  return toMs - fromMs;
}

/**
 * The mean of the runs beside which no other job ran: one run of 10,000 namespaces takes little more than the 10 ms that the
 * system counts. Without such runs the one that took the least.
 */
function meanRunOf({ windows, samples }: Watched, job: Job): { wallMs: number; cpuMs: number } {
  const runs = windows
    // Of a run that began before the first sample the CPU time is not known.
    .filter(({ name, fromMs }) => name === job && fromMs >= (samples[0]?.atMs ?? Infinity))
    .map((run) => ({
      wallMs: wallOf(run),
      cpuMs: cpuMsIn(samples, run),
      isAlone: !windows.some((other) => other !== run && areBeside(run, other)),
    }))
    .toSorted((one, other) => one.cpuMs - other.cpuMs);
  const alone = runs.filter(({ isAlone }) => isAlone);
  const counted = alone.length > 0 ? alone : runs.slice(0, 1);
  if (counted.length === 0) throw new Error(`${job} did not run: watch the agent for longer.`);
  const mean = (of: 'wallMs' | 'cpuMs') => counted.reduce((sum, run) => sum + run[of], 0) / counted.length;
  return { wallMs: mean('wallMs'), cpuMs: mean('cpuMs') };
}

/** Whether CPU time of the one counts for the other. */
function areBeside(one: JobWindow, other: JobWindow): boolean {
  return other.fromMs < one.toMs + POLL_EVERY_MS && other.toMs > one.fromMs - POLL_EVERY_MS;
}

function longestRunOf({ windows, samples }: Watched, job: Job): { wallMs: number; cpuMs: number } {
  const [longest] = windows.filter(({ name }) => name === job).toSorted((a, b) => wallOf(b) - wallOf(a));
  if (longest === undefined) throw new Error(`${job} did not run.`);
  return { wallMs: wallOf(longest), cpuMs: cpuMsIn(samples, longest) };
}

async function claimRate({ site, sizes, progress }: Room, agent: BuiltAgent, namespaces: number): Promise<number> {
  const requester = await openRequester(site.requestAmqpUrl);
  try {
    const rates: number[] = [];
    for (let round = 0; round < sizes.claims.rounds; round += 1) {
      const claims = Array.from({ length: withWarmUp(sizes.claims.count) }, (_, index) =>
        prepareRequest(site, 'claim-namespace', {
          namespace: `${site.names.namespacePrefix}grown-${namespaces}-${round}-${index}`,
        }),
      );
      const size = { count: sizes.claims.count, concurrency: 32 };
      rates.push((await runClaims(requester, claims, size, agent)).perSecond);
    }
    return median(rates);
  } catch (error) {
    // The agent answers with an error what it cannot finish in time.
    progress(`new claims failed: ${error instanceof Error ? error.message : String(error)}`);
    return 0;
  } finally {
    await requester.close();
  }
}
