import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { PulseAgentClient } from '../src/client/client.ts';
import { type BuiltAgent, startBuiltAgent } from './built-agent.ts';
import { type BuiltProxy, startBuiltProxy } from './built-proxy.ts';
import { median, medians, type Pair } from './limits.ts';
import { load, type Load, timeOf } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACE = 'taskcluster-proxied';
const QUEUE = `queue/${NAMESPACE}/messages`;
const EXCHANGE = `exchange/${NAMESPACE}/messages`;
const CONTENT = Buffer.alloc(1000, 'x');
/** Messages without a confirm, or without an acknowledgement. */
const IN_FLIGHT = 200;

const ROUNDS = 5;
const MESSAGES = 20_000;

/** Connections that are opened and closed one at a time, and many, in blocks: directly, through the proxy, and so on. */
const SINGLE_CONNECTIONS = 200;
const CONNECTIONS = 10_000;
const BLOCKS = 5;
const CONCURRENT_CONNECTIONS = 20;

/** Messages that pass in both directions while the memory is read after each part. */
const MANY_MESSAGES = 1_000_000;
const PARTS = 10;

/** The queue is meant to be long: no agent may delete it. */
const PATIENT = {
  warnAtMessages: 1_000_000_000,
  deleteAtMessages: 2_000_000_000,
  warnAtBytes: null,
  deleteAtBytes: null,
};

/** How long closed connections may take to go, in ms. */
const SETTLE_MS = 3_000;

/** Measures an AMQP proxy against the same connections without it, in turns. */
export async function measureProxy(site: Site, progress: (line: string) => void): Promise<Row[]> {
  let agent: BuiltAgent | undefined;
  let proxy: BuiltProxy | undefined;
  const client = new PulseAgentClient({ url: site.requestAmqpUrl, credentials: site.credentials });
  try {
    const environment = { PULSE_AGENT_CONFIG: site.writeSettings(PATIENT) };
    agent = await startBuiltAgent(site, 'proxy-store', { environment });
    const { connectionString } = await client.claimNamespace({ namespace: NAMESPACE });
    proxy = await startBuiltProxy(site, NAMESPACE);
    return [
      ...(await measureMessages(connectionString, proxy, progress)),
      ...(await measureConnections(site, connectionString, proxy, progress)),
      await measureMemory(proxy, progress),
    ];
  } finally {
    await client.close();
    await proxy?.stop();
    await agent?.stop();
  }
}

async function measureMessages(
  connectionString: string,
  proxy: BuiltProxy,
  progress: (line: string) => void,
): Promise<Row[]> {
  const publishing: Pair[] = [];
  const consuming: Pair[] = [];
  const direct = await open(connectionString);
  const proxied = await open(proxy.url);
  const cpuBeforeMs = proxy.cpuMs();
  for (let round = 0; round <= ROUNDS; round += 1) {
    progress(`${(2 * MESSAGES).toLocaleString('en')} messages, round ${round} of ${ROUNDS}`);
    const directMs = [await timeOf(() => publish(direct, MESSAGES)), await timeOf(() => consume(direct, MESSAGES))];
    const proxiedMs = [await timeOf(() => publish(proxied, MESSAGES)), await timeOf(() => consume(proxied, MESSAGES))];
    // The first one warms up.
    if (round === 0) continue;
    publishing.push([directMs[0] ?? NaN, proxiedMs[0] ?? NaN]);
    consuming.push([directMs[1] ?? NaN, proxiedMs[1] ?? NaN]);
  }
  const cpuMs = (proxy.cpuMs() - cpuBeforeMs) / (2 * MESSAGES * (ROUNDS + 1));
  await direct.close();
  await proxied.close();
  return [
    rateRow('published with confirms through a proxy', publishing, `CPU of the proxy ${(cpuMs * 1000).toFixed(1)} µs`),
    rateRow('consumed through a proxy', consuming, 'the same CPU'),
  ];
}

function rateRow(what: string, pairs: readonly Pair[], more: string): Row {
  const rateOf = (ms: number): string => `${Math.round((MESSAGES / ms) * 1000).toLocaleString('en')}/s`;
  const { rawMs, oursMs } = medians(pairs);
  return {
    what: `messages of 1 kB ${what}`,
    measured: `${rateOf(oursMs)}, ${more}`,
    limit: `directly: ${rateOf(rawMs)}`,
    ratio: median(pairs.map(([directMs, proxiedMs]) => directMs / proxiedMs)),
    atLeast: 0.6,
    figures: { perSecond: (MESSAGES / oursMs) * 1000, directPerSecond: (MESSAGES / rawMs) * 1000 },
  };
}

async function measureConnections(
  site: Site,
  connectionString: string,
  proxy: BuiltProxy,
  progress: (line: string) => void,
): Promise<Row[]> {
  const [memoryMb, descriptors] = [proxy.memoryMb(), proxy.descriptors()];
  progress('connections, one at a time');
  const single: Pair[] = [];
  for (let turn = 0; turn < SINGLE_CONNECTIONS; turn += 1) {
    single.push([await timeOf(() => openAndClose(connectionString)), await timeOf(() => openAndClose(proxy.url))]);
  }
  const { rawMs, oursMs } = medians(single);
  const moreMs = median(single.map(([directMs, proxiedMs]) => proxiedMs - directMs));
  const size = { count: CONNECTIONS / BLOCKS, concurrency: CONCURRENT_CONNECTIONS, warmUp: 0 };
  const [direct, proxied]: [Load[], Load[]] = [[], []];
  for (let block = 1; block <= BLOCKS; block += 1) {
    progress(`${size.count.toLocaleString('en')} connections, block ${block} of ${BLOCKS}`);
    direct.push(await load(size, () => openAndClose(connectionString), proxy.cpuMs, site.brokerCpuMs));
    proxied.push(await load(size, () => openAndClose(proxy.url), proxy.cpuMs, site.brokerCpuMs));
  }
  await sleep(SETTLE_MS);
  const perMinute = CONNECTIONS / proxied.reduce((minutes, one) => minutes + size.count / one.perSecond / 60, 0);
  const directPerMinute = median(direct.map(({ perSecond }) => perSecond)) * 60;
  const memoryAfterMb = proxy.memoryMb();
  const descriptorsAfter = proxy.descriptors();
  return [
    {
      what: 'a connection through a proxy, opened and closed, takes longer by',
      measured: `${moreMs.toFixed(2)} ms: ${oursMs.toFixed(2)} ms`,
      limit: `2 ms; directly: ${rawMs.toFixed(2)} ms`,
      ratio: moreMs / 2,
      atMost: 1,
      figures: { moreMs },
    },
    {
      what: `${CONNECTIONS.toLocaleString('en')} connections through a proxy, ${CONCURRENT_CONNECTIONS} at a time`,
      measured: `${perMinuteText(perMinute)}, CPU of the proxy ${median(proxied.map(({ cpuMs }) => cpuMs)).toFixed(2)} ms, ${brokerCpuText(proxied)}`,
      limit: `10,000 a minute; directly: ${perMinuteText(directPerMinute)}, ${brokerCpuText(direct)}`,
      ratio: perMinute / 10_000,
      atLeast: 1,
      figures: { perMinute, directPerMinute },
    },
    {
      what: 'file descriptors of a proxy after these connections',
      measured: `${descriptorsAfter}; memory ${memoryAfterMb.toFixed(0)} MB`,
      limit: `before: ${descriptors}; memory ${memoryMb.toFixed(0)} MB`,
      ratio: descriptorsAfter / descriptors,
      atMost: 1,
      figures: { memoryMb: memoryAfterMb },
    },
  ];
}

async function openAndClose(url: string): Promise<void> {
  await (await connect(url, { noDelay: true })).close();
}

function brokerCpuText(loads: readonly Load[]): string {
  return `CPU of RabbitMQ ${median(loads.map(({ brokerCpuMs }) => brokerCpuMs)).toFixed(2)} ms`;
}

function perMinuteText(perMinute: number): string {
  return `${Math.round(perMinute).toLocaleString('en')} a minute`;
}

/** Publishes and consumes many messages at the same time, over two connections. */
async function measureMemory(proxy: BuiltProxy, progress: (line: string) => void): Promise<Row> {
  const publisher = await open(proxy.url);
  const consumer = await open(proxy.url);
  const memories: number[] = [];
  for (let part = 1; part <= PARTS; part += 1) {
    progress(`${((MANY_MESSAGES / PARTS) * part).toLocaleString('en')} messages`);
    await Promise.all([publish(publisher, MANY_MESSAGES / PARTS), consume(consumer, MANY_MESSAGES / PARTS)]);
    memories.push(proxy.memoryMb());
  }
  await publisher.close();
  await consumer.close();
  const [first = NaN] = memories;
  const last = memories.at(-1) ?? NaN;
  return {
    what: `memory of a proxy after ${MANY_MESSAGES.toLocaleString('en')} messages in both directions`,
    measured: `${last.toFixed(0)} MB, ${Math.max(...memories).toFixed(0)} MB at most`,
    limit: `after the first ${(MANY_MESSAGES / PARTS).toLocaleString('en')}: ${first.toFixed(0)} MB`,
    ratio: last / first,
    atMost: 1.1,
    figures: { first, last },
  };
}

async function open(url: string): Promise<ChannelModel> {
  const connection = await connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.assertExchange(EXCHANGE, 'fanout');
  await channel.assertQueue(QUEUE);
  await channel.bindQueue(QUEUE, EXCHANGE, '');
  await channel.close();
  return connection;
}

async function publish(connection: ChannelModel, messages: number): Promise<void> {
  const channel = await connection.createConfirmChannel();
  let sent = 0;
  const next = async (): Promise<void> => {
    while (sent < messages) {
      sent += 1;
      await publishOne(channel);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, next));
  await channel.close();
}

async function publishOne(channel: ConfirmChannel): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    channel.publish(EXCHANGE, '', CONTENT, { persistent: false }, (error: unknown) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

async function consume(connection: ChannelModel, messages: number): Promise<void> {
  const channel = await connection.createChannel();
  await channel.prefetch(IN_FLIGHT);
  let left = messages;
  await new Promise<void>((resolve, reject) => {
    channel
      .consume(QUEUE, (message) => {
        if (message === null) {
          reject(new Error('RabbitMQ has cancelled the consumer: the queue was deleted.'));
          return;
        }
        channel.ack(message);
        left -= 1;
        if (left === 0) resolve();
      })
      .catch(reject);
  });
  await channel.close();
}
