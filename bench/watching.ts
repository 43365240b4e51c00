import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import { createQueues } from '../src/queues/queues.ts';
import { type Config, loadConfig } from '../src/config/config.ts';
import { contractNames } from '../src/contract/names.ts';
import { freePorts } from '../dev/processes.ts';
import { type BuiltAgent, startBuiltAgent } from './built-agent.ts';
import { openInstallation } from './installation.ts';
import { median, medians, type Pair } from './limits.ts';
import { timeOf } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

type Environment = Readonly<Record<string, string>>;

const STORE = 'watching-store';
const NAMESPACE = 'taskcluster-watched';
const QUEUES = 10_000;
const ROUNDS = 7;

/** Low, so that many queues can pass it with little load. */
const WARN_AT = 2_000;

/** The queues that grow steadily, and how fast the slowest and the fastest grow, in messages a second. */
const GROWING = 50;
const SLOWEST = 15;
const FASTEST = 35;

/** The queues that are filled in one burst, one after the other. */
const BURSTS = 8;

/** Each adds and removes one consumer: two broker events. */
const CONSUMERS = 20_000;

const TICK_MS = 50;

/** Measures the watching of queues among ten thousand. It leaves the queues behind, so it runs last. */
export async function measureWatching(site: Site, progress: (line: string) => void): Promise<Row[]> {
  const settingsFile = site.writeSettings({ warnAtMessages: WARN_AT, deleteAtMessages: 1_000_000 });
  const [httpPort = 0] = await freePorts(1);
  const more = { PULSE_AGENT_CONFIG: settingsFile, HTTP_PORT: String(httpPort) };
  const config = loadConfig({ ...site.agentEnvironment(site.storeUrl(STORE)), ...more });
  const connection = await connect(site.amqpUrl);
  let agent: BuiltAgent | undefined;
  try {
    progress(`preparing ${QUEUES} queues`);
    await declareQueues(connection);
    const rows = [await measureSurvey(site, more, progress)];
    agent = await startBuiltAgent(site, STORE, { environment: more });
    const warnings = await readWarnings(connection, config);
    progress('queues that grow steadily');
    rows.push(await measureGrowing(connection, warnings));
    progress('queues that are filled in one burst');
    rows.push(await measureBursts(connection, httpPort, warnings));
    await agent.stop();
    progress('broker events');
    await leaveEvents(connection);
    agent = await startBuiltAgent(site, STORE, { environment: more });
    rows.push(await measureEvents(connection, config));
    return rows;
  } finally {
    await agent?.stop();
    await connection.close();
  }
}

function queueName(number: number): string {
  return `queue/${NAMESPACE}/${number}`;
}

async function declareQueues(connection: ChannelModel): Promise<void> {
  const channels = await Promise.all(Array.from({ length: 16 }, () => connection.createChannel()));
  const numbers = Array.from({ length: QUEUES }, (_, number) => number);
  await forEachConcurrently(numbers, 64, async (number) => {
    await (channels[number % channels.length] as Channel).assertQueue(queueName(number), { durable: false });
  });
  for (const channel of channels) await channel.close();
}

async function measureSurvey(site: Site, environment: Environment, progress: (line: string) => void): Promise<Row> {
  const installation = await openInstallation(site, STORE, progress, environment);
  const { config, signal } = installation;
  const queues = createQueues(installation.context);
  try {
    await installation.claim([NAMESPACE]);
    const pairs: Pair[] = [];
    await queues.survey(signal);
    for (let round = 0; round < ROUNDS; round += 1) {
      pairs.push([await timeOf(() => listRaw(site, config)), await timeOf(() => queues.survey(signal))]);
    }
    const { rawMs, oursMs, ratio } = medians(pairs);
    return {
      what: `survey of ${QUEUES.toLocaleString('en')} queues (LMDB)`,
      measured: `${Math.round(oursMs)} ms`,
      limit: `the raw listing: ${Math.round(rawMs)} ms`,
      ratio,
      atMost: 1.2,
    };
  } finally {
    await queues.close();
    await installation.close();
  }
}

/** Lists the queues without the agent's code. */
async function listRaw({ managementUrl, user, password }: Site, { vhost }: Config): Promise<void> {
  const url = new URL(managementUrl);
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  url.username = '';
  url.password = '';
  const query = 'disable_stats=true&enable_queue_totals=true&columns=name,messages,state';
  const response = await fetch(`${url.origin}/api/queues/${encodeURIComponent(vhost)}?${query}`, {
    headers: { authorization },
  });
  await response.json();
}

type Warnings = ReadonlyMap<string, number>;

/** Records when the warning of each queue arrives, in ms of this process. */
async function readWarnings(connection: ChannelModel, { id }: Config): Promise<Warnings> {
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, contractNames(id).eventsExchange, 'queue.warning.*');
  const warnings = new Map<string, number>();
  await channel.consume(
    queue,
    (message) => {
      if (message === null) return;
      const { subject } = JSON.parse(message.content.toString()) as { subject: string };
      warnings.set(subject, performance.now());
    },
    { noAck: true },
  );
  return warnings;
}

async function measureGrowing(connection: ChannelModel, warnings: Warnings): Promise<Row> {
  const channel = await connection.createConfirmChannel();
  const growing = Array.from({ length: GROWING }, (_, number) => ({
    queue: queueName(number),
    perTick: ((SLOWEST + ((FASTEST - SLOWEST) * number) / GROWING) * TICK_MS) / 1000,
    owed: 0,
    sent: 0,
  }));
  const crossed = new Map<string, number>();
  while (growing.some(({ queue }) => !warnings.has(queue))) {
    const tick = sleep(TICK_MS);
    for (const one of growing) {
      one.owed += one.perTick;
      for (; one.owed >= 1; one.owed -= 1) {
        const crosses = (one.sent += 1) === WARN_AT;
        channel.sendToQueue(one.queue, Buffer.from('x'), {}, () => {
          if (crosses) crossed.set(one.queue, performance.now());
        });
      }
    }
    await tick;
  }
  await channel.close();
  const lateMs = growing.map(({ queue }) => (warnings.get(queue) ?? 0) - (crossed.get(queue) ?? 0));
  lateMs.sort((a, b) => a - b);
  const p99 = lateMs[Math.ceil(GROWING * 0.99) - 1] ?? Number.NaN;
  return {
    what: `a steadily growing queue among ${QUEUES.toLocaleString('en')} crosses the threshold → event, p99`,
    measured: `${Math.round(p99)} ms (p50 ${Math.round(median(lateMs))} ms, ${GROWING} queues)`,
    limit: '2000 ms',
    ratio: p99 / 2000,
    atMost: 1,
  };
}

async function measureBursts(connection: ChannelModel, httpPort: number, warnings: Warnings): Promise<Row> {
  const lateMs: number[] = [];
  const surveysMs = new Set<number>();
  const channel: ConfirmChannel = await connection.createConfirmChannel();
  for (let burst = 0; burst < BURSTS; burst += 1) {
    const queue = queueName(GROWING + burst);
    for (let sent = 0; sent < 2 * WARN_AT; sent += 1) {
      if (!channel.sendToQueue(queue, Buffer.from('x'))) await once(channel, 'drain');
    }
    await channel.waitForConfirms();
    const filledMs = performance.now();
    while (!warnings.has(queue)) {
      surveysMs.add(await lastSurveyMs(httpPort));
      await sleep(TICK_MS);
    }
    lateMs.push((warnings.get(queue) ?? 0) - filledMs);
    // A random pause keeps the bursts out of step with the surveys.
    await sleep(Math.random() * 5_000);
  }
  await channel.close();
  const pausesMs = [...surveysMs].slice(1).map((atMs, before) => atMs - ([...surveysMs][before] ?? 0));
  const longest = Math.max(...pausesMs);
  const most = Math.max(...lateMs);
  return {
    what: `a queue filled in one burst among ${QUEUES.toLocaleString('en')} → event, the latest of ${BURSTS}`,
    measured: `${Math.round(most)} ms (p50 ${Math.round(median(lateMs))} ms)`,
    limit: `the longest pause between two surveys then: ${Math.round(longest)} ms`,
    ratio: most / longest,
    atMost: 1.1,
  };
}

/** When the agent finished its latest survey, in ms since the epoch. */
async function lastSurveyMs(httpPort: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const seconds = /^pulse_agent_job_last_success_timestamp_seconds\{job_name="survey-queues"\} (\S+)$/m.exec(
    metrics,
  )?.[1];
  return Number(seconds) * 1000;
}

/** Causes events while no agent consumes them. */
async function leaveEvents(connection: ChannelModel): Promise<void> {
  const channels = await Promise.all(Array.from({ length: 16 }, () => connection.createChannel()));
  const numbers = Array.from({ length: CONSUMERS }, (_, number) => number);
  await forEachConcurrently(numbers, 64, async (number) => {
    const channel = channels[number % channels.length] as Channel;
    const queue = queueName(QUEUES - 1 - (number % (QUEUES / 2)));
    const { consumerTag } = await channel.consume(queue, () => undefined, { noAck: true });
    await channel.cancel(consumerTag);
  });
  for (const channel of channels) await channel.close();
}

async function measureEvents(connection: ChannelModel, { id }: Config): Promise<Row> {
  const channel = await connection.createChannel();
  const queue = contractNames(id).tenantEventsQueue;
  const waiting = async (): Promise<number> => (await channel.checkQueue(queue)).messageCount;
  const first = await waiting();
  const startedMs = performance.now();
  while ((await waiting()) > 0) await sleep(5);
  const seconds = (performance.now() - startedMs) / 1000;
  await channel.close();
  return {
    what: 'broker events handled by one agent',
    measured: `${Math.round(first / seconds)}/s (${first.toLocaleString('en')} events)`,
    limit: '2000/s',
    ratio: first / seconds / 2000,
    atLeast: 1,
  };
}
