import { generateReplyKey } from '../src/contract/sealing.ts';
import { type BuiltAgent, type BuiltAgentOptions, startBuiltAgent } from './built-agent.ts';
import { median, rateOfParts } from './limits.ts';
import { type Load, load, type Size, withWarmUp } from './load.ts';
import { startProcess } from './processes.ts';
import type { Resident } from './process-figures.ts';
import { openRawCalls, type RawCalls } from './raw-calls.ts';
import { assertResult, openRequester, type Prepared, prepareEcho, prepareRequest, type Requester } from './requests.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

/** How much is measured. */
export interface ClaimSizes {
  /** How often each run is repeated; medians count. */
  readonly rounds: number;
  /** Namespaces that are claimed again. */
  readonly namespaces: number;
  /** Re-claims before the first measurement, in which V8 compiles the agent's code. */
  readonly warmUp: number;
  readonly reclaims: readonly Size[];
  readonly newClaims: readonly Size[];
  /** How long the agent idles before its memory at rest is read, in ms. */
  readonly idleMs: number;
}

/** One at a time comes first, and has the sum of its parts as its limit. */
export const CLAIM_SIZES: ClaimSizes = {
  rounds: 3,
  namespaces: 1000,
  warmUp: 3000,
  reclaims: [
    { count: 400, concurrency: 1 },
    { count: 2000, concurrency: 8 },
    { count: 4000, concurrency: 32 },
    { count: 4000, concurrency: 256 },
  ],
  newClaims: [
    { count: 200, concurrency: 1 },
    { count: 500, concurrency: 8 },
    { count: 1000, concurrency: 32 },
    { count: 1000, concurrency: 256 },
  ],
  idleMs: 10_000,
};

/** How often memory is read during the claims, in ms: a reading takes 2 ms of this process and the agent none. */
const SAMPLE_EVERY_MS = 250;

/** The limits of resident memory, in MB. */
const MEMORY_GOALS = { idle: 100, after: 150, peak: 170 };

const [RECLAIM_GOAL, SEALED_GOAL, NEW_CLAIM_GOAL, ALONE_GOAL] = [0.5, 0.4, 0.8, 1.5];

let lastName = 0;

/** What the rows of claims work with. */
interface Room {
  readonly site: Site;
  readonly agent: BuiltAgent;
  readonly requester: Requester;
  readonly raw: RawCalls;
  readonly echoQueue: string;
  readonly progress: (line: string) => void;
}

/**
 * Measures claims of one agent as `npm start` runs it, with Taskcluster over HTTP: rate, latency and the agent's CPU time
 * for each claim, against the rate of the parts that no agent can do without, measured in the same round.
 *
 * @param storeName a new store: the namespaces must not be known
 */
export async function measureClaims(
  site: Site,
  progress: (line: string) => void,
  sizes: ClaimSizes = CLAIM_SIZES,
  agentOptions: BuiltAgentOptions = {},
  storeName = 'claimed-store',
): Promise<Row[]> {
  // The agent's account may declare no other queues there.
  const echoQueue = `queue/${site.names.id}/v1/echo`;
  const closers: (() => Promise<void>)[] = [];
  try {
    const echo = await startProcess('echo-process.ts', { BENCH_AMQP_URL: site.requestAmqpUrl, BENCH_QUEUE: echoQueue });
    closers.push(() => echo.stop());
    const requester = await openRequester(site.requestAmqpUrl);
    closers.push(() => requester.close());
    const raw = openRawCalls(site);
    closers.push(() => raw.close());
    const agent = await startBuiltAgent(site, storeName, agentOptions);
    closers.push(() => agent.stop());
    const room: Room = { site, agent, requester, raw, echoQueue, progress };
    progress('memory of the idle agent');
    const idle = await agent.resident(sizes.idleMs);
    const peak = watchPeak(agent);
    // Also when a claim fails: a reading of an agent that has stopped would hide the failure.
    closers.push(() => Promise.resolve(void peak.stop()));
    const names = newNames(site, sizes.namespaces);
    progress('first claims and warm-up');
    await run(room, names, { count: names.length, concurrency: 32, warmUp: 0 });
    await run(room, repeat(names, sizes.warmUp), { count: sizes.warmUp, concurrency: 32, warmUp: 0 });
    const rows: Row[] = [];
    for (const size of sizes.reclaims) rows.push(...(await measureReclaims(room, names, sizes.rounds, size)));
    for (const size of sizes.newClaims) rows.push(await measureNewClaims(room, sizes.rounds, size));
    const highest = peak.stop();
    progress('memory after the claims');
    const after = await agent.resident(sizes.idleMs);
    return [...rows, ...memoryRows({ idle, after, peak: highest })];
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

/** Claims these namespaces and measures it. */
async function run(
  { site, agent, requester }: Room,
  names: readonly string[],
  size: Size,
  extra: object = {},
): Promise<Load> {
  const messages = names.map((namespace) => prepareRequest(site, 'claim-namespace', { namespace, ...extra }));
  return await runClaims(requester, messages, size, { ...agent, brokerCpuMs: site.brokerCpuMs });
}

/** Sends prepared claims. */
export async function runClaims(
  requester: Requester,
  messages: readonly Prepared[],
  size: Size,
  { cpuMs, brokerCpuMs }: Pick<BuiltAgent, 'cpuMs'> & Partial<Pick<Site, 'brokerCpuMs'>>,
): Promise<Load> {
  const claim = async (index: number): Promise<void> => assertResult(await requester.send(messages[index]));
  return await load(size, claim, cpuMs, brokerCpuMs);
}

/** The parts of any claim: a message to and fro, and the check of its signature. */
async function measureParts(
  { site, requester, raw, echoQueue }: Room,
  size: Size,
): Promise<{ echo: Load; auth: Load }> {
  const count = withWarmUp(size.count);
  const echoes = Array.from({ length: count }, () => prepareEcho(echoQueue));
  const echo = await load(size, (index) => requester.send(echoes[index]), undefined, site.brokerCpuMs);
  const signed = Array.from({ length: count }, () => prepareRequest(site, 'claim-namespace', { namespace: 'raw' }));
  const auth = await load(size, (index) => raw.authenticate(signed[index] as Prepared));
  return { echo, auth };
}

async function measureReclaims(room: Room, names: readonly string[], rounds: number, size: Size): Promise<Row[]> {
  const { raw, progress } = room;
  const isAlone = size.concurrency === 1;
  progress(`re-claims, ${inFlight(size)}`);
  const claimed = repeat(names, withWarmUp(size.count));
  const replyKey = generateReplyKey().publicKey;
  const parts: { echo: Load; auth: Load; write: Load | undefined }[] = [];
  const [plain, sealed]: [Load[], Load[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    const write = isAlone ? await load(size, () => raw.write()) : undefined;
    parts.push({ ...(await measureParts(room, size)), write });
    plain.push(await run(room, claimed, size));
    sealed.push(await run(room, claimed, size, { replyKey }));
  }
  if (isAlone) {
    const sums = parts.map(({ echo, auth, write }) => echo.p50Ms + auth.p50Ms + (write?.p50Ms ?? 0));
    const limit = `echo ${p50(parts.map(({ echo }) => echo))} + raw authenticateHawk ${p50(parts.map(({ auth }) => auth))} + one durable write ${p50(parts.flatMap(({ write }) => write ?? []))}`;
    return [
      aloneRow('re-claim, one at a time', plain, sums, limit, ALONE_GOAL),
      aloneRow('re-claim, one at a time, sealed', sealed, sums, 'the same sum'),
    ];
  }
  const limits = parts.map(({ echo, auth }) => rateOfParts(echo.perSecond, auth.perSecond));
  const limit = limitText(limits, {
    echo: parts.map(({ echo }) => echo),
    'raw authenticateHawk': parts.map(({ auth }) => auth),
  });
  return [
    rateRow(`re-claims, ${inFlight(size)}`, plain, limits, limit, RECLAIM_GOAL),
    rateRow(`re-claims, ${inFlight(size)}, sealed`, sealed, limits, 'the same limit', SEALED_GOAL),
  ];
}

async function measureNewClaims(room: Room, rounds: number, size: Size): Promise<Row> {
  const { raw, progress, site } = room;
  const isAlone = size.concurrency === 1;
  progress(`new claims, ${inFlight(size)}`);
  const parts: { echo: Load; auth: Load; puts: Load; write: Load | undefined }[] = [];
  const ours: Load[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const write = isAlone ? await load(size, () => raw.write()) : undefined;
    const puts = await load(size, () => raw.provision(), undefined, site.brokerCpuMs);
    parts.push({ ...(await measureParts(room, size)), puts, write });
    ours.push(await run(room, newNames(site, withWarmUp(size.count)), size));
  }
  const ofPart = (part: 'echo' | 'auth' | 'puts'): Load[] => parts.map((measured) => measured[part]);
  if (isAlone) {
    const sums = parts.map(
      ({ echo, auth, puts, write }) => echo.p50Ms + auth.p50Ms + puts.p50Ms + 2 * (write?.p50Ms ?? 0),
    );
    const limit = `echo ${p50(ofPart('echo'))} + raw authenticateHawk ${p50(ofPart('auth'))} + raw PUTs ${p50(ofPart('puts'))} + two durable writes, each ${p50(parts.flatMap(({ write }) => write ?? []))}`;
    return aloneRow('new claim, one at a time', ours, sums, limit, ALONE_GOAL);
  }
  const limits = parts.map(({ echo, auth, puts }) => rateOfParts(echo.perSecond, auth.perSecond, puts.perSecond));
  const limit = limitText(limits, {
    echo: ofPart('echo'),
    'raw authenticateHawk': ofPart('auth'),
    'raw PUTs of user and permissions': ofPart('puts'),
  });
  return rateRow(`new claims, ${inFlight(size)}`, ours, limits, limit, NEW_CLAIM_GOAL);
}

function rateRow(what: string, loads: readonly Load[], limits: readonly number[], limit: string, atLeast: number): Row {
  const ratio = median(loads.map(({ perSecond }, round) => perSecond / (limits[round] ?? Number.NaN)));
  const { perSecond, p50Ms, p99Ms } = mediansOf(loads);
  const measured = `${Math.round(perSecond)}/s, ${cpuText(loads)}, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`;
  return { what, measured, limit, ratio, atLeast, figures: figuresOf(loads) };
}

function aloneRow(what: string, loads: readonly Load[], sums: readonly number[], limit: string, atMost?: number): Row {
  const ratio = median(loads.map(({ p50Ms }, round) => p50Ms / (sums[round] ?? Number.NaN)));
  const { p50Ms, p99Ms } = mediansOf(loads);
  const measured = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(1)} ms, ${cpuText(loads)}`;
  const goal = atMost === undefined ? {} : { atMost };
  return { what, measured, limit, ratio, ...goal, figures: figuresOf(loads) };
}

/** The CPU time of the agent for each claim, and of RabbitMQ. */
function cpuText(loads: readonly Load[]): string {
  const { cpuMs, brokerCpuMs } = mediansOf(loads);
  return `CPU ${cpuMs.toFixed(2)} ms${Number.isNaN(brokerCpuMs) ? '' : ` and ${brokerCpuMs.toFixed(2)} of RabbitMQ`}`;
}

function figuresOf(loads: readonly Load[]): Record<string, number> {
  return Object.fromEntries(Object.entries(mediansOf(loads)).filter(([, value]) => !Number.isNaN(value)));
}

function memoryRows(memory: Readonly<Record<keyof typeof MEMORY_GOALS, Resident>>): Row[] {
  return (
    [
      ['idle', 'of an idle agent'],
      ['after', 'after the claims'],
      ['peak', 'at most, during the claims'],
    ] as const
  ).map(([when, what]) => ({
    what: `memory ${what}`,
    measured: `${memory[when].ownMb.toFixed(0)} MB resident, and ${memory[when].storeMb.toFixed(0)} MB of the mapped store`,
    limit: `${MEMORY_GOALS[when]} MB`,
    ratio: memory[when].ownMb / MEMORY_GOALS[when],
    atMost: 1,
    figures: { ownMb: memory[when].ownMb, storeMb: memory[when].storeMb },
  }));
}

/** Reads the agent's memory until it is stopped. */
function watchPeak(agent: Pick<BuiltAgent, 'memory'>): { stop(): Resident } {
  let highest = agent.memory();
  const sample = (): void => {
    const now = agent.memory();
    if (now.ownMb > highest.ownMb) highest = now;
  };
  const timer = setInterval(sample, SAMPLE_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      return highest;
    },
  };
}

function newNames({ names: { namespacePrefix } }: Site, count: number): string[] {
  return Array.from({ length: count }, () => `${namespacePrefix}bench-${(lastName += 1)}`);
}

/** So many names, from the first one again after the last. */
function repeat(names: readonly string[], count: number): string[] {
  return Array.from({ length: count }, (_, index) => names[index % names.length] ?? '');
}

function inFlight({ concurrency }: Size): string {
  return concurrency === 1 ? 'one at a time' : `${concurrency} in flight`;
}

function mediansOf(loads: readonly Load[]): Load {
  const of = (figure: keyof Load): number => median(loads.map((one) => one[figure]));
  const [cpuMs, brokerCpuMs] = [of('cpuMs'), of('brokerCpuMs')];
  return { perSecond: of('perSecond'), cpuMs, brokerCpuMs, p50Ms: of('p50Ms'), p99Ms: of('p99Ms') };
}

function p50(loads: readonly Load[]): string {
  return `${mediansOf(loads).p50Ms.toFixed(2)} ms`;
}

function limitText(limits: readonly number[], parts: Readonly<Record<string, readonly Load[]>>): string {
  const rates = Object.entries(parts).map(([part, loads]) => {
    const { perSecond, brokerCpuMs } = mediansOf(loads);
    return `${part} ${Math.round(perSecond)}/s${Number.isNaN(brokerCpuMs) ? '' : ` (${brokerCpuMs.toFixed(2)} ms of RabbitMQ)`}`;
  });
  return `${Math.round(median(limits))}/s: ${rates.join(', ')}`;
}
