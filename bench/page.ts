import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../dev/processes.ts';
import { type BuiltAgent, startBuiltAgent } from './built-agent.ts';
import { PAGE_GOALS } from './goals.ts';
import { median, percentile } from './limits.ts';
import { assertResult, openRequester, type Prepared, prepareRequest, type Requester } from './requests.ts';
import { simulateNamespaces } from './scale.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

/** How much is measured. */
export interface PageSizes {
  /** Each has a queue with messages. */
  readonly namespaces: number;
  /** How often each endpoint is read. */
  readonly reads: number;
  readonly claimsPerSecond: number;
  /** Pairs of rounds of claims, without the streams and with them, and how long each takes, in ms. */
  readonly rounds: number;
  readonly roundMs: number;
  readonly streams: number;
}

const SIZES: PageSizes = {
  namespaces: 10_000,
  reads: 200,
  claimsPerSecond: 50,
  rounds: 5,
  roundMs: 20_000,
  streams: 16,
};

const TOKEN = 'the-token-of-operators-0123456789';
const STORE = 'page-store';
const MESSAGES = 100;
const CLAIMED = 64;

/** Until the first lists are made, and the work of the start is over, in ms. */
const SETTLE_MS = 20_000;
/** A viewer reads so often, in ms: what is shown is read again in between. */
const READ_PAUSE_MS = 25;

/** Measures the page for operators of an agent with many namespaces and queues, while claims go on. */
export async function measurePage(
  site: Site,
  progress: (line: string) => void,
  sizes: PageSizes = SIZES,
): Promise<Row[]> {
  progress(`preparing ${sizes.namespaces} namespaces and queues`);
  const simulated = await simulateNamespaces({ site, storeName: STORE }, sizes.namespaces, MESSAGES);
  const [httpPort = 0] = await freePorts(1);
  const environment = {
    HTTP_PORT: String(httpPort),
    PULSE_AGENT_OPERATOR_TOKEN: TOKEN,
    PULSE_AGENT_CONFIG: site.writeSettings({ reconcileIntervalSeconds: 3600 }),
    RABBITMQ_MANAGEMENT_URL: simulated.url,
  };
  const requester = await openRequester(site.requestAmqpUrl);
  let agent: BuiltAgent | undefined;
  try {
    agent = await startBuiltAgent(site, STORE, { environment });
    const room: Room = { site, requester, sizes, progress, origin: `http://127.0.0.1:${httpPort}` };
    await sleep(SETTLE_MS);
    const beforeMb = agent.memory().ownMb;
    const rows = await measureReads(room);
    rows.push(await measureStreams(room));
    const afterMb = agent.memory().ownMb;
    rows.push({
      what: `memory of the page for operators with ${sizes.namespaces.toLocaleString('en')} queues with messages`,
      measured: `${(afterMb - beforeMb).toFixed(0)} MB more after its lists were read (${afterMb.toFixed(0)} MB in all)`,
      limit: 'none',
      figures: { beforeMb, afterMb },
    });
    return rows;
  } finally {
    await agent?.stop();
    await requester.close();
    await simulated.process.stop();
    await site.forgetStore();
  }
}

interface Room {
  readonly site: Site;
  readonly requester: Requester;
  readonly sizes: PageSizes;
  readonly progress: (line: string) => void;
  readonly origin: string;
}

function endpointsOf({ site: { names }, sizes: { namespaces } }: Room): string[] {
  const one = `${names.namespacePrefix}scaled-${Math.floor(namespaces / 2)}`;
  return [
    'overview',
    'namespaces?sort=expires&limit=100',
    'namespaces?search=scaled-77&sort=messages',
    `namespaces/${one}`,
    'queues?sort=growth&limit=100',
    'queues?search=scaled-77',
    `queue-history?queue=${encodeURIComponent(`queue/${one}/q`)}`,
    'plan?hours=12',
    'audit?limit=100',
    'health',
  ];
}

async function measureReads(room: Room): Promise<Row[]> {
  const { progress, sizes } = room;
  const endpoints = endpointsOf(room);
  const read = async (path: string): Promise<number> => {
    const startedMs = performance.now();
    const response = await fetch(`${room.origin}/api/v1/${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
    const body = await response.text();
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${body}`);
    return performance.now() - startedMs;
  };
  progress('the first answer of each endpoint');
  for (const path of endpoints) await read(path);
  await sleep(SETTLE_MS / 2);
  progress('answers while claims go on');
  const stopping = new AbortController();
  const claiming = claimUntil(room, stopping.signal);
  const took = new Map<string, number[]>(endpoints.map((path) => [path, []]));
  for (let round = 0; round < sizes.reads; round += 1) {
    for (const path of endpoints) {
      took.get(path)?.push(await read(path));
      await sleep(READ_PAUSE_MS);
    }
  }
  stopping.abort();
  await claiming;
  return [...took].map(([path, unsorted]) => {
    const durations = unsorted.toSorted((a, b) => a - b);
    const [p50Ms, p99Ms] = [percentile(durations, 0.5), percentile(durations, 0.99)];
    const name = path
      .replace(/scaled-\d+/, '…')
      .replace(/queue=.*/, 'queue=…')
      .replace(/\/[^/?]*…$/, '/…');
    return {
      what: `page: ${name}, p99 with ${sizes.namespaces.toLocaleString('en')} namespaces while claims go on`,
      measured: `${p99Ms.toFixed(0)} ms (p50 ${p50Ms.toFixed(0)} ms)`,
      limit: `${PAGE_GOALS.answerMs} ms`,
      ratio: p99Ms / PAGE_GOALS.answerMs,
      atMost: 1,
      figures: { p50Ms, p99Ms },
    };
  });
}

async function measureStreams(room: Room): Promise<Row> {
  const { progress, sizes } = room;
  const [without, withStreams]: [number[], number[]] = [[], []];
  for (let round = 0; round < sizes.rounds; round += 1) {
    progress(`claims without and with ${sizes.streams} streams of events, ${round + 1} of ${sizes.rounds}`);
    without.push(await claimsP99(room));
    const close = await openStreams(room);
    withStreams.push(await claimsP99(room));
    close();
  }
  const ratio = median(withStreams.map((ms, round) => ms / (without[round] ?? Number.NaN)));
  const [p99WithoutMs, p99Ms] = [median(without), median(withStreams)];
  return {
    what: `re-claims with ${sizes.streams} streams of events open, p99`,
    measured: `${p99Ms.toFixed(1)} ms`,
    limit: `without: ${p99WithoutMs.toFixed(1)} ms`,
    ratio,
    atMost: PAGE_GOALS.claimsRatio,
    figures: { p99Ms, p99WithoutMs },
  };
}

/** Opens the streams and reads them. */
async function openStreams({ origin, sizes }: Room): Promise<() => void> {
  const closing = new AbortController();
  const open = async (): Promise<void> => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const { body, status } = await fetch(`${origin}/api/v1/events`, { headers, signal: closing.signal });
    if (status !== 200 || body === null) throw new Error(`A stream was refused: ${status}`);
    void body.pipeTo(new WritableStream()).catch(() => undefined);
  };
  await Promise.all(Array.from({ length: sizes.streams }, open));
  return () => closing.abort();
}

async function claimsP99(room: Room): Promise<number> {
  const durations = await claimUntil(room, AbortSignal.timeout(room.sizes.roundMs));
  return percentile(
    durations.toSorted((a, b) => a - b),
    0.99,
  );
}

/** Sends re-claims at a steady rate. Returns how long each took, in ms. */
async function claimUntil({ site, requester, sizes }: Room, signal: AbortSignal): Promise<number[]> {
  const durations: number[] = [];
  const running: Promise<void>[] = [];
  const claim = async (message: Prepared): Promise<void> => {
    const startedMs = performance.now();
    assertResult(await requester.send(message));
    durations.push(performance.now() - startedMs);
  };
  const startedMs = performance.now();
  for (let sent = 0; !signal.aborted; sent += 1) {
    const namespace = `${site.names.namespacePrefix}scaled-${sent % CLAIMED}`;
    running.push(claim(prepareRequest(site, 'claim-namespace', { namespace })));
    const dueMs = startedMs + ((sent + 1) * 1000) / sizes.claimsPerSecond;
    await sleep(Math.max(0, dueMs - performance.now()));
  }
  await Promise.all(running);
  return durations;
}
