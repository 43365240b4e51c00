import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelModel, connect, type ConsumeMessage } from 'amqplib';
import { Command } from 'commander';
import { requestUrl } from '../src/client/request-url.ts';
import { openRpc } from '../src/client/rpc.ts';
import { isMethodName, METHODS } from '../src/contract/methods.ts';
import { contractNames, DIRECT_REPLY_TO } from '../src/contract/names.ts';
import { freePorts } from '../dev/processes.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { startBuiltAgent } from './built-agent.ts';
import { createHostileRequests, seededRandom } from './hostile-requests.ts';
import { openSite, type Site } from './site.ts';

const command = new Command('npm run attack --')
  .description('Sends hostile requests to a built agent, and checks what it does with them.')
  .option('--seed <integer>', 'repeats the requests of a run; random when absent', Number)
  .option('--requests <count>', 'how many', Number, 200_000)
  .parse();
const { seed = randomInt(2 ** 31), requests: total } = command.opts<{ seed?: number; requests: number }>();
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(total) || total < 1) command.help({ error: true });

const ID = 'pulse-agent';
const NAMES = contractNames(ID);
const VICTIM = 'taskcluster-team-b-victim';
const VICTIM_QUEUE = `queue/${VICTIM}/q`;
const ATTACKER = { clientId: 'team-a/service', accessToken: 'for-development-only-team-a-service-00001' };
const OTHER = { clientId: 'team-b/service', accessToken: 'for-development-only-team-b-service-00001' };
/** How many requests are published before their confirms are awaited. */
const BATCH = 500;
/** The attacker pauses while more requests than this wait: beyond its limit the request queue refuses them. */
const MOST_WAITING = 2000;
/** How long an agent may take for the requests that wait, in ms. */
const PATIENCE_MS = 60_000;
/** How much more memory the agent may have at the end than after a fifth of the requests, in MB: noise of the heap. */
const MEMORY_NOISE_MB = 30;

const progress = (line: string): void => console.error(`… ${line}`);

/** What came back for the hostile requests. */
interface Outcome {
  /** Requests that RabbitMQ took: those with the name of a method, and the others. */
  confirmed: { method: number; unknown: number };
  refused: number;
  replies: number;
  forgeries: string[];
}

console.log(`seed ${seed}, ${total} requests`);
if (spawnSync('npm', ['run', '--silent', 'build'], { cwd: WORKING_COPY, stdio: 'inherit' }).status !== 0)
  process.exit(1);
const folder = join(WORKING_COPY, `.cache/attack-${process.pid}`);
mkdirSync(folder, { recursive: true });
const site = await openSite({ folder, progress });
try {
  process.exitCode = await attack(site);
} finally {
  await site.close();
  rmSync(folder, { recursive: true, force: true });
}

/** Runs the attack and prints what it found. Returns the exit code. */
async function attack(attacked: Site): Promise<number> {
  const [httpPort = 0] = await freePorts(1);
  const agent = await startBuiltAgent(site, 'store', { environment: { HTTP_PORT: String(httpPort) } });
  const url = claimantUrl(attacked);
  const connections: ChannelModel[] = [];
  const open = async (address: string): Promise<ChannelModel> => {
    const connection = await connect(address);
    connection.on('error', () => undefined);
    connections.push(connection);
    return connection;
  };

  const honest = await openRpc(await open(url), { credentials: OTHER });
  const { connectionString } = await honest.request('claim-namespace', { namespace: VICTIM });
  const victim = await (await open(connectionString)).createChannel();
  await victim.assertQueue(VICTIM_QUEUE);
  let foreignWrites = 0;
  await victim.consume(VICTIM_QUEUE, () => (foreignWrites += 1), { noAck: true });

  /** How long a claim of another client took at most, in ms, and how many failed. */
  const claims = { slowestMs: 0, failed: 0, count: 0 };
  const isOver = new AbortController();
  const claiming = (async () => {
    for (; !isOver.signal.aborted; claims.count += 1) {
      const startedMs = performance.now();
      await honest.request('claim-namespace', { namespace: VICTIM }).catch(() => (claims.failed += 1));
      claims.slowestMs = Math.max(claims.slowestMs, performance.now() - startedMs);
      await sleep(250);
    }
  })();

  const outcome = await flood(await open(url), { httpPort });
  isOver.abort();
  await claiming;
  const served = await untilServed(httpPort, outcome.confirmed.method + claims.count + 1);
  const after = await agent.resident();
  const { namespaces } = await honest.request('list-namespaces', { limit: 100 });
  const exitCode = await agent.stop().then(() => 0);
  for (const connection of connections) await connection.close().catch(() => undefined);

  const grownMb = after.ownMb - outcome.ownMb;
  const findings = [
    [
      outcome.forgeries.length === 0,
      `${outcome.forgeries.length} forgeries ${outcome.forgeries.slice(0, 3).join(' ')}`,
    ],
    [foreignWrites === 0, `${foreignWrites} messages in the queue of another namespace`],
    [
      served.methods >= outcome.confirmed.method + claims.count + 1,
      `${outcome.confirmed.method} requests taken by RabbitMQ, ${outcome.refused} refused; with the claims of others the agent served ${served.methods}: ${served.summary}`,
    ],
    // RabbitMQ itself copies these to the dead letters; the queue in which they wait for an answer drops the oldest.
    [
      served.unknown <= outcome.confirmed.unknown,
      `${outcome.confirmed.unknown} requests of unknown methods were dead-lettered, ${served.unknown} of them also answered`,
    ],
    [
      namespaces.every(({ namespace }) => namespace === VICTIM),
      `${namespaces.length} namespace, that of the other client`,
    ],
    [
      claims.failed === 0,
      `${claims.count} claims by another client, ${claims.failed} failed, the slowest took ${Math.round(claims.slowestMs)} ms`,
    ],
    [
      grownMb < MEMORY_NOISE_MB,
      `memory ${outcome.ownMb.toFixed(1)} MB after a fifth, ${after.ownMb.toFixed(1)} MB at the end`,
    ],
    [exitCode === 0, 'the agent was alive to the end'],
  ] as const;
  for (const [isRight, what] of findings) console.log(`${isRight ? 'ok  ' : 'FAIL'}  ${what}`);
  return findings.every(([isRight]) => isRight) ? 0 : 1;

  async function flood(connection: ChannelModel, { httpPort: port }: { httpPort: number }) {
    const next = createHostileRequests(seededRandom(seed), {
      audience: ID,
      attacker: ATTACKER,
      victim: VICTIM,
      userId: NAMES.claimantUser,
    });
    const result: Outcome & { ownMb: number } = {
      confirmed: { method: 0, unknown: 0 },
      refused: 0,
      replies: 0,
      forgeries: [],
      ownMb: 0,
    };
    const take = (message: ConsumeMessage | null): void => {
      if (message === null) return;
      result.replies += 1;
      const { type, correlationId } = message.properties;
      if (type === 'result' && isSignedResult(message)) result.forgeries.push(String(correlationId));
    };
    const channel = await connection.createConfirmChannel();
    channel.on('error', (error: Error) => progress(`the attacker's channel: ${error.message}`));
    await channel.consume(DIRECT_REPLY_TO, take, { noAck: true });
    let isMeasured = false;
    for (let sent = 0; sent < total; ) {
      const size = Math.min(BATCH, total - sent);
      const publish = () =>
        new Promise<void>((resolve) => {
          const { routingKey, content, options } = next();
          channel.publish(NAMES.rpcExchange, routingKey, content, options, (error: Error | null) => {
            if (error !== null) result.refused += 1;
            else result.confirmed[isMethodName(routingKey) ? 'method' : 'unknown'] += 1;
            resolve();
          });
        });
      await Promise.all(Array.from({ length: size }, publish));
      sent += size;
      if (sent % 20_000 < BATCH) progress(`${sent} sent, ${result.replies} replies`);
      if (!isMeasured && sent >= total / 5) {
        isMeasured = true;
        result.ownMb = (await agent.resident()).ownMb;
      }
      await untilServed(port, result.confirmed.method - MOST_WAITING);
    }
    return result;
  }
}

/** Whether this is the result of a method that needs a signature: it does not have the form of any other result. */
function isSignedResult({ properties, content }: ConsumeMessage): boolean {
  if (properties.contentType !== 'application/json') return true;
  const result: unknown = JSON.parse(content.toString());
  return !Object.values(METHODS).some(({ signed, result: form }) => !signed && form.safeParse(result).success);
}

function claimantUrl(attacked: Site): string {
  const url = new URL(requestUrl(attacked.amqpUrl, ID));
  url.username = NAMES.claimantUser;
  url.password = attacked.agentEnvironment('')['PULSE_AGENT_CLAIMANT_PASSWORD'] ?? '';
  return url.href;
}

/** What an agent has served. */
interface Served {
  readonly methods: number;
  readonly unknown: number;
  readonly summary: string;
}

/** Waits until the agent has served so many requests with the name of a method, and returns what it has served. */
async function untilServed(httpPort: number, wanted: number): Promise<Served> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const served = await readServed(httpPort);
    if (served.methods >= wanted || performance.now() > deadlineMs) return served;
    await sleep(100);
  }
}

async function readServed(httpPort: number): Promise<Served> {
  const response = await fetch(`http://127.0.0.1:${httpPort}/metrics`);
  const outcomes = new Map<string, number>();
  const served = { methods: 0, unknown: 0 };
  for (const line of (await response.text()).split('\n')) {
    const [, labels = '', text] = /^pulse_agent_request_duration_seconds_count\{(.*)\} (\d+)$/.exec(line) ?? [];
    if (text === undefined) continue;
    const count = Number(text);
    served[labels.includes('method="unknown"') ? 'unknown' : 'methods'] += count;
    const [, outcome = ''] = /outcome="(.+?)"/.exec(labels) ?? [];
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
  }
  return { ...served, summary: [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ') };
}
