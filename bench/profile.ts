import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../dev/processes.ts';
import { generateReplyKey } from '../src/contract/sealing.ts';
import { type BuiltAgent, startBuiltAgent, startOptions } from './built-agent.ts';
import { countsOf } from './agent-metrics.ts';
import { claimAll, declareQueues, END, letAgentDo, ROTATION } from './lifecycle.ts';
import { load } from './load.ts';
import { type Call, callsOfCpu, callsOfHeap, type CpuProfile, type HeapNode, totalOf } from './profile-parts.ts';
import { createSourceLookup, describeProfile, type SourceOf } from './profile-text.ts';
import { assertResult, openRequester, prepareRequest, type Requester } from './requests.ts';
import type { Site } from './site.ts';

const PRELOAD = fileURLToPath(new URL('profiler-preload.mjs', import.meta.url));
const NAMESPACES = 1000;
const WARM_UP = 3000;
const CONCURRENCY = 32;
const KINDS = ['re-claim', 'sealed re-claim', 'new claim'] as const;
type Kind = (typeof KINDS)[number];
const COUNTS: Readonly<Record<Kind, number>> = { 're-claim': 6000, 'sealed re-claim': 4000, 'new claim': 1500 };

/**
 * Profiles one agent under claims, 32 in flight: where its CPU time goes, what allocates, and how many calls, commits and
 * collections of garbage a claim takes. Sampling costs some time itself: read the shares.
 */
export async function measureProfile(
  site: Site,
  progress: (line: string) => void,
  nodeOptions: readonly string[] = startOptions(),
): Promise<string> {
  const sourceOf = createSourceLookup(dirname(site.program));
  const text: string[] = [`Options of node: ${nodeOptions.join(' ') || 'none'}`];
  for (const what of ['cpu', 'heap'] as const) {
    const [httpPort = 0] = await freePorts(1);
    const file = join(site.folder, `profile-${what}.json`);
    const agent = await startBuiltAgent(site, `profiled-store-${what}`, {
      nodeOptions: [...nodeOptions, '--import', PRELOAD],
      environment: {
        BENCH_PROFILE: what,
        BENCH_PROFILE_FILE: file,
        // The metrics cost some CPU time: only the counting run has them.
        ...(what === 'heap' ? { HTTP_PORT: String(httpPort) } : {}),
      },
    });
    const requester = await openRequester(site.requestAmqpUrl);
    try {
      const names = Array.from(
        { length: NAMESPACES },
        (_, index) => `${site.names.namespacePrefix}profiled-${what}-${index}`,
      );
      await claim(site, requester, names, {});
      await claim(
        site,
        requester,
        Array.from({ length: WARM_UP }, (_, index) => names[index % NAMESPACES] ?? ''),
        {},
      );
      for (const kind of KINDS) {
        progress(`${what} of ${kind}s`);
        const count = COUNTS[kind];
        const claimed = Array.from({ length: count }, (_, index) =>
          kind === 'new claim'
            ? `${site.names.namespacePrefix}profiled-${what}-new-${index}`
            : (names[index % NAMESPACES] ?? ''),
        );
        const extra = kind === 'sealed re-claim' ? { replyKey: generateReplyKey().publicKey } : {};
        const before = what === 'heap' ? await counts(site, httpPort, 'profiled-store-heap') : {};
        await toggle(agent);
        const { cpuMs } = await claim(site, requester, claimed, extra, agent);
        const finished = await finish(agent, file);
        const after = what === 'heap' ? await counts(site, httpPort, 'profiled-store-heap') : {};
        const each = Object.entries(after).map(
          ([name, value]) => [name, (value - (before[name] ?? 0)) / count] as const,
        );
        const noticed = each
          .filter(([, value]) => value > 0.01)
          .map(([name, value]) => `- ${name}: ${value.toFixed(2)}`);
        text.push(...sectionOf({ title: kind, what, count, cpuMs, ...finished }, sourceOf, noticed));
      }
    } finally {
      await requester.close();
      await agent.stop();
    }
    await site.forgetStore();
  }
  text.push(...(await profileLifecycle(site, progress, nodeOptions, sourceOf)));
  return text.join('\n');
}

/** Profiles the rotations and the end of namespaces in the same way. */
async function profileLifecycle(
  site: Site,
  progress: (line: string) => void,
  nodeOptions: readonly string[],
  sourceOf: SourceOf,
): Promise<string[]> {
  const text: string[] = [];
  for (const what of ['cpu', 'heap'] as const) {
    const file = join(site.folder, `profile-lifecycle-${what}.json`);
    const room = { site, storeName: `profiled-lifecycle-${what}`, sizes: { namespaces: NAMESPACES } };
    const names = Array.from(
      { length: NAMESPACES },
      (_, index) => `${site.names.namespacePrefix}profiled-life-${what}-${index}`,
    );
    await claimAll(room, names);
    for (const [title, work] of [
      ['first rotation', ROTATION],
      ['later rotation', ROTATION],
      ['end of a namespace with 5 queues', END],
    ] as const) {
      progress(`${what} of ${title}`);
      if (work === END)
        await declareQueues(
          site,
          names.flatMap((name) => [0, 1, 2, 3, 4].map((number) => `queue/${name}/${number}`)),
        );
      await letAgentDo(room, work, {
        agentOptions: {
          nodeOptions: [...nodeOptions, '--import', PRELOAD],
          environment: { BENCH_PROFILE: what, BENCH_PROFILE_FILE: file },
        },
        start: toggle,
        async finish(agent, { cpuSeconds }) {
          const cpuMs = (cpuSeconds * 1000) / NAMESPACES;
          const finished = await finish(agent, file);
          text.push(...sectionOf({ title, what, count: NAMESPACES, cpuMs, ...finished }, sourceOf, []));
        },
      });
    }
    await site.forgetStore();
  }
  return text;
}

interface Finished {
  readonly profile: unknown;
  readonly garbage: { readonly count: number; readonly ms: number };
}

interface Profiled extends Finished {
  readonly title: string;
  readonly what: 'cpu' | 'heap';
  readonly count: number;
  readonly cpuMs: number;
}

/** The section of one profile. */
function sectionOf(
  { title, what, count, cpuMs, profile, garbage }: Profiled,
  sourceOf: SourceOf,
  noticed: readonly string[],
): string[] {
  const heading = [
    '',
    `## ${title}, ${what}: CPU ${cpuMs.toFixed(3)} ms each while profiled, ${((1000 * garbage.count) / count).toFixed(1)} collections a thousand, ${(garbage.ms / count).toFixed(4)} ms each`,
    ...noticed,
    '',
  ];
  if (what === 'heap') {
    const calls = callsOfHeap((profile as { readonly head: HeapNode }).head);
    return [...heading, ...describeProfile(calls, sourceOf, (bytes) => `${Math.round(bytes / count)} bytes`)];
  }
  const calls = withoutIdle(callsOfCpu(profile as CpuProfile));
  // Sampled by the clock: scaled to the CPU time, which other processes do not enlarge.
  const total = totalOf(calls);
  return [...heading, ...describeProfile(calls, sourceOf, (ms) => `${((cpuMs * ms) / total).toFixed(4)} ms`)];
}

async function claim(site: Site, requester: Requester, names: readonly string[], extra: object, agent?: BuiltAgent) {
  const messages = names.map((namespace) => prepareRequest(site, 'claim-namespace', { namespace, ...extra }));
  return await load(
    { count: names.length, concurrency: CONCURRENCY, warmUp: 0 },
    async (index) => assertResult(await requester.send(messages[index])),
    agent?.cpuMs,
  );
}

async function toggle(agent: BuiltAgent): Promise<void> {
  process.kill(agent.pid, 'SIGUSR2');
  await sleep(500);
}

async function finish(agent: BuiltAgent, file: string): Promise<Finished> {
  process.kill(agent.pid, 'SIGUSR2');
  for (;;) {
    await sleep(200);
    if (!existsSync(file)) continue;
    try {
      const result = JSON.parse(readFileSync(file, 'utf8')) as Finished;
      rmSync(file);
      return result;
    } catch {
      // It is not complete yet.
    }
  }
}

async function counts(site: Site, httpPort: number, storeName: string): Promise<Record<string, number>> {
  const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  return { ...countsOf(metrics), commits: commitsOf(join(site.folder, storeName, 'store.mdb')) };
}

/** The number of the latest transaction of an LMDB file, which is in its first two pages. */
function commitsOf(file: string): number {
  const pages = Buffer.alloc(8192);
  const descriptor = openSync(file, 'r');
  readSync(descriptor, pages, 0, pages.length, 0);
  closeSync(descriptor);
  return Math.max(...[0, 4096].map((page) => Number(pages.readBigUInt64LE(page + 144))));
}

function withoutIdle(call: Call): Call {
  return { ...call, children: call.children.filter(({ place }) => place.functionName !== '(idle)') };
}
