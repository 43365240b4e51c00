import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import hawk from 'hawk';
import { freePorts } from '../dev/processes.ts';
import { generateReplyKey } from '../src/contract/sealing.ts';
import { startBuiltAgent } from './built-agent.ts';
import { runClaims } from './claims.ts';
import { claimAll, type Done, letAgentDo, ROTATION } from './lifecycle.ts';
import { median } from './limits.ts';
import { type Load, load, type Size } from './load.ts';
import { readCpuMs } from './process-figures.ts';
import { type BenchProcess, startProcess } from './processes.ts';
import { openRequester, prepareRequest } from './requests.ts';
import type { Site } from './site.ts';
import { AGAINST_PREDECESSOR, type Row } from './table.ts';

const ROUNDS = 3;
const CONCURRENCY = 32;
const NAMESPACES = 1000;
const RECLAIMS: Size = { count: 3000, concurrency: CONCURRENCY, warmUp: 0 };
const NEW_CLAIMS: Size = { count: 500, concurrency: CONCURRENCY, warmUp: 0 };
const RECLAIMS_ALONE: Size = { count: 300, concurrency: 1, warmUp: 0 };
const NEW_CLAIMS_ALONE: Size = { count: 100, concurrency: 1, warmUp: 0 };

/** What is measured of both, with the goal for the rate of the agent as a multiple of that of taskcluster-pulse. */
const KINDS = {
  're-claims, 32 in flight': { size: RECLAIMS, isNew: false, isSealed: false, atLeast: 2 },
  're-claims, 32 in flight, sealed': { size: RECLAIMS, isNew: false, isSealed: true, atLeast: 1.5 },
  'new claims, 32 in flight': { size: NEW_CLAIMS, isNew: true, isSealed: false, atLeast: 1.5 },
  're-claim, one at a time': { size: RECLAIMS_ALONE, isNew: false, isSealed: false, atLeast: undefined },
  'new claim, one at a time': { size: NEW_CLAIMS_ALONE, isNew: true, isSealed: false, atLeast: undefined },
} as const;
type Kind = keyof typeof KINDS;

/**
 * Measures taskcluster-pulse and an agent on the same broker with the same Taskcluster stand-in, one after the other in
 * each round.
 *
 * @throws Error when BENCH_PREDECESSOR does not name a folder with taskcluster-pulse and its dependencies
 */
export async function measurePredecessor(site: Site, progress: (line: string) => void): Promise<Row[]> {
  const folder = process.env['BENCH_PREDECESSOR'] ?? '';
  if (!existsSync(join(folder, 'src/maintenance.js')) || !existsSync(join(folder, 'node_modules'))) {
    throw new Error(
      'Set BENCH_PREDECESSOR to a clone of https://github.com/taskcluster/taskcluster-pulse after `npm install --ignore-scripts` in it.',
    );
  }
  return [
    ...(await measureBothClaims(site, folder, progress)),
    ...(await measureBothRotations(site, folder, progress)),
  ];
}

interface Pair {
  readonly theirs: Load;
  readonly ours: Load;
}

async function measureBothClaims(site: Site, folder: string, progress: (line: string) => void): Promise<Row[]> {
  const theirs = await openPredecessor(site, folder);
  const agent = await startBuiltAgent(site, 'beside-predecessor');
  const requester = await openRequester(site.requestAmqpUrl);
  const pairs = new Map<Kind, Pair[]>();
  let last = 0;
  const newNames = (count: number): string[] =>
    Array.from({ length: count }, () => `${site.names.namespacePrefix}either-${(last += 1)}`);
  const runAgent = async (names: readonly string[], size: Size, extra: object): Promise<Load> => {
    const claims = names.map((namespace) => prepareRequest(site, 'claim-namespace', { namespace, ...extra }));
    return await runClaims(requester, claims, size, agent);
  };
  try {
    const [claimedThere, claimedHere] = [newNames(NAMESPACES), newNames(NAMESPACES)];
    progress('first claims and warm-up of both');
    const first = { count: NAMESPACES, concurrency: CONCURRENCY, warmUp: 0 };
    await theirs.claim(claimedThere, first);
    await theirs.claim(repeat(claimedThere, RECLAIMS.count), RECLAIMS);
    await runAgent(claimedHere, first, {});
    await runAgent(repeat(claimedHere, RECLAIMS.count), RECLAIMS, {});
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [kind, { size, isNew, isSealed }] of Object.entries(KINDS) as [Kind, (typeof KINDS)[Kind]][]) {
        progress(`${kind}, of both`);
        const namesOf = (claimed: readonly string[]): string[] =>
          isNew ? newNames(size.count) : repeat(claimed, size.count);
        const there = await theirs.claim(namesOf(claimedThere), size);
        const extra = isSealed ? { replyKey: generateReplyKey().publicKey } : {};
        const here = await runAgent(namesOf(claimedHere), size, extra);
        pairs.set(kind, [...(pairs.get(kind) ?? []), { theirs: there, ours: here }]);
      }
    }
  } finally {
    await requester.close();
    await agent.stop();
    await theirs.stop();
    await site.forgetStore();
  }
  return [...pairs].map(([kind, measured]) => claimsRow(kind, measured));
}

function claimsRow(kind: Kind, pairs: readonly Pair[]): Row {
  const { size, atLeast } = KINDS[kind];
  const text = (loads: readonly Load[]): string => {
    const of = (figure: keyof Load): number => median(loads.map((one) => one[figure]));
    const speed = size.concurrency === 1 ? `p50 ${of('p50Ms').toFixed(2)} ms` : `${Math.round(of('perSecond'))}/s`;
    return `${speed}, CPU ${of('cpuMs').toFixed(2)} ms`;
  };
  return {
    what: `${kind}${AGAINST_PREDECESSOR}`,
    measured: text(pairs.map(({ ours }) => ours)),
    limit: text(pairs.map(({ theirs }) => theirs)),
    ratio: median(pairs.map(({ ours, theirs }) => ours.perSecond / theirs.perSecond)),
    ...(atLeast === undefined ? {} : { atLeast }),
    figures: { cpuMs: median(pairs.map(({ ours }) => ours.cpuMs)) },
  };
}

async function measureBothRotations(site: Site, folder: string, progress: (line: string) => void): Promise<Row[]> {
  const names = Array.from({ length: NAMESPACES }, (_, index) => `${site.names.namespacePrefix}turning-${index}`);
  progress('rotations of taskcluster-pulse');
  const predecessor = await openPredecessor(site, folder);
  const theirs: Done[] = [];
  try {
    await predecessor.claim(names, { count: names.length, concurrency: CONCURRENCY, warmUp: 0 });
    for (let turn = 0; turn < 2; turn += 1) theirs.push(await predecessor.rotate());
  } finally {
    await predecessor.stop();
    await site.forgetStore();
  }
  progress('rotations of the agent');
  const room = { site, storeName: 'turning-store', sizes: { namespaces: NAMESPACES } };
  await claimAll(room, names);
  const ours = [await letAgentDo(room, ROTATION), await letAgentDo(room, ROTATION)];
  await site.forgetStore();
  return ['first', 'later'].map((which, turn) => ({
    what: `${which} rotation of ${NAMESPACES} namespaces${AGAINST_PREDECESSOR}`,
    measured: doneText(ours[turn]),
    limit: doneText(theirs[turn]),
    ratio: (ours[turn]?.seconds ?? Number.NaN) / (theirs[turn]?.seconds ?? Number.NaN),
  }));
}

function doneText(done: Omit<Done, 'brokerCpuSeconds'> | undefined): string {
  return done === undefined ? '' : `${done.seconds.toFixed(2)} s, CPU ${done.cpuSeconds.toFixed(2)} s`;
}

interface RunningPredecessor {
  readonly claim: (names: readonly string[], size: Size) => Promise<Load>;
  readonly rotate: () => Promise<Done>;
  readonly stop: () => Promise<void>;
}

async function openPredecessor(site: Site, folder: string): Promise<RunningPredecessor> {
  const [port = 0] = await freePorts(1);
  const predecessor: BenchProcess = await startProcess('predecessor-process.ts', {
    BENCH_PREDECESSOR: folder,
    BENCH_PORT: String(port),
    BENCH_LOG: join(site.folder, 'predecessor.log'),
    BENCH_TASKCLUSTER_URL: site.taskclusterUrl,
    BENCH_MANAGEMENT_URL: site.managementUrl,
    BENCH_USER: site.user,
    BENCH_PASSWORD: site.password,
  });
  const { pid = 0 } = predecessor.process;
  const connections = new Agent({ keepAlive: true });
  const { clientId, accessToken } = site.credentials;
  const credentials = { id: clientId, key: accessToken, algorithm: 'sha256' as const };
  // The same at each claim: another one would be written.
  const body = JSON.stringify({ expires: new Date(Date.now() + 86_400_000).toJSON(), contact: 'owner@example.com' });
  return {
    async claim(names, size) {
      const signed = names.map((name) => {
        const url = `http://127.0.0.1:${port}/api/pulse/v1/namespace/${name}`;
        return { url, authorization: hawk.client.header(url, 'POST', { credentials }).header };
      });
      return await load(
        size,
        (index) => post(connections, signed[index], body),
        () => readCpuMs(pid),
      );
    },
    async rotate() {
      predecessor.process.send('rotate');
      for (;;) {
        const [message] = (await once(predecessor.process, 'message')) as [Done | string];
        if (typeof message === 'object' && 'seconds' in message) return message;
      }
    },
    async stop() {
      connections.destroy();
      await predecessor.stop();
    },
  };
}

async function post(
  agent: Agent,
  signed: { readonly url: string; readonly authorization: string } | undefined,
  body: string,
): Promise<void> {
  if (signed === undefined) throw new RangeError('Not enough requests were prepared.');
  const { url, authorization } = signed;
  const headers = { authorization, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  await new Promise<void>((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`taskcluster-pulse answered ${response.statusCode}: ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function repeat(names: readonly string[], count: number): string[] {
  return Array.from({ length: count }, (_, index) => names[index % names.length] ?? '');
}
