import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import { freePorts } from '../dev/processes.ts';
import { countEvents } from './agent-events.ts';
import { jobSecondsOf } from './agent-metrics.ts';
import { type BuiltAgent, type BuiltAgentOptions, startBuiltAgent } from './built-agent.ts';
import { runClaims } from './claims.ts';
import { median } from './limits.ts';
import { timeOf } from './load.ts';
import { openRawCalls, type RawCalls } from './raw-calls.ts';
import { openRequester, prepareRequest } from './requests.ts';
import type { NamespaceRecord } from '../src/store/namespace-record.ts';
import { rawPrefix, type Site } from './site.ts';
import { changeStore } from './stored-namespaces.ts';
import type { Row } from './table.ts';

/** How much is measured. */
export interface LifecycleSizes {
  readonly rounds: number;
  readonly namespaces: number;
  readonly queuesEach: number;
}

const SIZES: LifecycleSizes = { rounds: 3, namespaces: 1000, queuesEach: 5 };

/** The agent's own limit of concurrent management calls. */
const CONCURRENCY = 32;

/** From the start of the agent until its namespaces are due, in ms: its first reconciliation is over then. */
const SETTLE_MS = 6_000;

/** The latest deletion after `expires`, in ms. */
const DELETION_DELAY_MS = 60_000;

/** How often an agent's metrics are read until its job is done, in ms. */
const POLL_EVERY_MS = 500;

/** One job of the agent over all namespaces. */
export interface Work {
  /** What the agent reports of each namespace. */
  readonly event: string;
  readonly job: string;
  /** Makes a record due at this instant. */
  readonly dueAt: (dueMs: number) => Partial<NamespaceRecord>;
}

export const ROTATION: Work = {
  event: 'namespace.rotated',
  job: 'rotate-namespaces',
  dueAt: (nextRotationMs) => ({ nextRotationMs }),
};
export const END: Work = {
  event: 'namespace.expired',
  job: 'expire-namespaces',
  dueAt(dueMs) {
    const expiresMs = dueMs - DELETION_DELAY_MS;
    return { expiresMs, expiryAnnouncedForMs: expiresMs };
  },
};

/** How long the job took, and the CPU time of the agent meanwhile. */
export interface Done {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** That of RabbitMQ; NaN where it was not measured. */
  readonly brokerCpuSeconds: number;
}

/** The same calls without the agent. */
interface Raw {
  readonly ms: number;
  readonly brokerCpuSeconds: number;
}

interface Round {
  readonly first: Done;
  readonly later: Done;
  readonly end: Done;
  readonly rawFirst: Raw;
  readonly rawLater: Raw;
  readonly rawEnd: Raw;
}

/**
 * Measures the first rotation of many namespaces, a later one, and their end with all their queues, each as one run of
 * the job of a built agent, against the same calls without the agent.
 */
export async function measureLifecycle(
  site: Site,
  progress: (line: string) => void,
  sizes: LifecycleSizes = SIZES,
): Promise<Row[]> {
  const raw = openRawCalls(site);
  const rounds: Round[] = [];
  try {
    for (let round = 0; round < sizes.rounds; round += 1) {
      rounds.push(await measureRound({ site, raw, progress, sizes, storeName: `aged-store-${round}` }, round));
      await site.forgetStore();
    }
  } finally {
    await raw.close();
  }
  const { namespaces, queuesEach } = sizes;
  const row = (what: string, done: 'first' | 'later' | 'end', of: (round: Round) => Raw, limit: string): Row => {
    const medianOf = (figure: keyof Done): number => median(rounds.map((round) => round[done][figure]));
    const [seconds, cpuSeconds, brokerCpuSeconds] = [
      medianOf('seconds'),
      medianOf('cpuSeconds'),
      medianOf('brokerCpuSeconds'),
    ];
    const rawMs = median(rounds.map((round) => of(round).ms));
    const rawBrokerCpu = median(rounds.map((round) => of(round).brokerCpuSeconds));
    return {
      what,
      measured: `${seconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s and ${brokerCpuSeconds.toFixed(2)} of RabbitMQ`,
      limit: `${limit}, ${CONCURRENCY} at a time: ${(rawMs / 1000).toFixed(2)} s, CPU of RabbitMQ ${rawBrokerCpu.toFixed(2)} s`,
      ratio: median(rounds.map((round) => (round[done].seconds * 1000) / of(round).ms)),
      atMost: 1.3,
      figures: { seconds, cpuSeconds, brokerCpuSeconds },
    };
  };
  return [
    row(
      `first rotation of ${namespaces} namespaces`,
      'first',
      ({ rawFirst }) => rawFirst,
      'raw PUTs of as many users and their permissions',
    ),
    row('a later rotation', 'later', ({ rawLater }) => rawLater, 'raw PUTs of as many users'),
    row(
      `end of ${namespaces} namespaces with ${namespaces * queuesEach} queues`,
      'end',
      ({ rawEnd }) => rawEnd,
      'raw DELETEs of as many users and queues',
    ),
  ];
}

/** Profiles an agent while it does the work. */
export interface LifecycleProfiler {
  readonly agentOptions: BuiltAgentOptions;
  readonly start: (agent: BuiltAgent) => Promise<void>;
  readonly finish: (agent: BuiltAgent, done: Done) => Promise<void>;
}

/** Where namespaces live and end. */
export interface LifecycleRoom {
  readonly site: Site;
  readonly sizes: Pick<LifecycleSizes, 'namespaces'>;
  readonly storeName: string;
}

interface MeasuredRoom extends LifecycleRoom {
  readonly raw: RawCalls;
  readonly progress: (line: string) => void;
  readonly sizes: LifecycleSizes;
}

async function measureRound(room: MeasuredRoom, round: number): Promise<Round> {
  const { site, raw, progress, sizes } = room;
  const names = Array.from(
    { length: sizes.namespaces },
    (_, index) => `${site.names.namespacePrefix}aged-${round}-${index}`,
  );
  progress(`claims of ${names.length} namespaces`);
  await claimAll(room, names);
  progress('first rotation');
  const rawFirst = await measureRaw(site, () => forEachConcurrently(names, CONCURRENCY, () => raw.provision()));
  const first = await letAgentDo(room, ROTATION);
  progress('later rotation');
  const numbers = names.map((_, index) => index);
  await forEachConcurrently(numbers, CONCURRENCY, raw.changePassword);
  const rawLater = await measureRaw(site, () => forEachConcurrently(numbers, CONCURRENCY, raw.changePassword));
  const later = await letAgentDo(room, ROTATION);
  progress('end of the namespaces');
  const queues = (owner: string): string[] =>
    Array.from({ length: sizes.queuesEach }, (_, index) => `queue/${owner}/${index}`);
  const rawNames = numbers.map((number) => `${rawPrefix(site.names)}${number}`);
  const rawUsers = rawNames.flatMap((name) => [`${name}-1`, `${name}-2`]);
  await forEachConcurrently(rawUsers, CONCURRENCY, raw.putUser);
  await declareQueues(site, [...names, ...rawNames].flatMap(queues));
  const end = await letAgentDo(room, END);
  const left = (await site.management.listQueueNames(site.vhost)).filter((name) =>
    names.some((one) => name.includes(`/${one}/`)),
  );
  if (left.length > 0) throw new Error(`${left.length} queues were not deleted.`);
  const rawEnd = await measureRaw(site, async () => {
    await forEachConcurrently(rawUsers, CONCURRENCY, raw.deleteUser);
    await forEachConcurrently(rawNames.flatMap(queues), CONCURRENCY, raw.deleteQueue);
  });
  return { first, later, end, rawFirst, rawLater, rawEnd };
}

async function measureRaw({ brokerCpuMs }: Pick<Site, 'brokerCpuMs'>, work: () => Promise<unknown>): Promise<Raw> {
  const cpuBeforeMs = brokerCpuMs();
  const ms = await timeOf(work);
  return { ms, brokerCpuSeconds: (brokerCpuMs() - cpuBeforeMs) / 1000 };
}

/** Claims these namespaces with an agent that is stopped afterwards. */
export async function claimAll({ site, storeName }: LifecycleRoom, names: readonly string[]): Promise<void> {
  const agent = await startBuiltAgent(site, storeName);
  const requester = await openRequester(site.requestAmqpUrl);
  try {
    const claims = names.map((namespace) => prepareRequest(site, 'claim-namespace', { namespace }));
    await runClaims(requester, claims, { count: names.length, concurrency: CONCURRENCY, warmUp: 0 }, agent);
  } finally {
    await requester.close();
    await agent.stop();
  }
}

/** Makes all namespaces due for the work while no agent runs, starts an agent and measures its job. */
export async function letAgentDo(
  { site, storeName, sizes }: LifecycleRoom,
  { event, job, dueAt }: Work,
  profiler?: LifecycleProfiler,
): Promise<Done> {
  const dueMs = Date.now() + SETTLE_MS;
  await changeStore(site.storeUrl(storeName), ({ slots: [first, second] }) => ({
    ...dueAt(dueMs),
    // No client waits for the end of a promise.
    slots: [
      { ...first, promisedUntilMs: 0 },
      { ...second, promisedUntilMs: 0 },
    ],
  }));
  const [httpPort = 0] = await freePorts(1);
  const { environment, ...options } = profiler?.agentOptions ?? {};
  const agent = await startBuiltAgent(site, storeName, {
    ...options,
    environment: { ...environment, HTTP_PORT: String(httpPort) },
  });
  try {
    const counter = await countEvents(site, event);
    await sleep(dueMs - Date.now() - POLL_EVERY_MS);
    await profiler?.start(agent);
    const before = await figuresOf(site, agent, httpPort, job);
    await counter.until(sizes.namespaces);
    await counter.close();
    // The job ends after its last event.
    for (;;) {
      const after = await figuresOf(site, agent, httpPort, job);
      if (after.seconds > before.seconds + 0.05) {
        const done = {
          seconds: after.seconds - before.seconds,
          cpuSeconds: after.cpuSeconds - before.cpuSeconds,
          brokerCpuSeconds: after.brokerCpuSeconds - before.brokerCpuSeconds,
        };
        await profiler?.finish(agent, done);
        return done;
      }
      await sleep(POLL_EVERY_MS);
    }
  } finally {
    await agent.stop();
  }
}

async function figuresOf(site: Site, agent: BuiltAgent, httpPort: number, job: string): Promise<Done> {
  const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  return {
    seconds: jobSecondsOf(metrics, job),
    cpuSeconds: agent.cpuMs() / 1000,
    brokerCpuSeconds: site.brokerCpuMs() / 1000,
  };
}

/** Declares queues as one client does. */
export async function declareQueues({ amqpUrl }: Pick<Site, 'amqpUrl'>, names: readonly string[]): Promise<void> {
  const connection = await connect(amqpUrl);
  try {
    const channel = await connection.createChannel();
    await forEachConcurrently(names, CONCURRENCY, async (name) => void (await channel.assertQueue(name)));
  } finally {
    await connection.close();
  }
}
