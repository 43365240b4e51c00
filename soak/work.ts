import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { LeaseConnection } from '../src/client/lease-connection.ts';
import type { Lease } from '../src/client/lease.ts';
import type { Work } from './life-plan.ts';
import type { RunContext } from './run-context.ts';
import { SETTINGS } from './settings.ts';
import { pause } from './pause.ts';

/** The publisher and the consumer of a namespace. */
export interface RunningWork {
  stop(): Promise<void>;
}

/** How long a queue stays large before it is purged, in ms: several surveys. */
const LARGE_MS = 45_000;

const RETRY_MS = 2_000;
const DRAIN_MS = 3_000;

/** Publishes and consumes with the connections of a lease until it is over. */
export function startWork(context: RunContext, lease: Lease, work: Work, life: string): RunningWork {
  const { figures } = context;
  const stopping = new AbortController();
  const { signal } = stopping;
  const exchange = `exchange/${lease.namespace}/done`;
  const queue = `queue/${lease.namespace}/work-${work.queueType}`;
  const setUp = async (connection: ChannelModel): Promise<ConfirmChannel> => {
    const channel = await connection.createConfirmChannel();
    await channel.assertExchange(exchange, 'topic', { durable: true });
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': work.queueType } });
    await channel.bindQueue(queue, exchange, '#');
    await channel.prefetch(10);
    await channel.consume(queue, (message) => {
      if (message === null) return;
      setTimeout(() => {
        figures.count('messages consumed');
        try {
          channel.ack(message);
        } catch {
          // The channel closed: the message comes again.
        }
      }, work.consumeMs).unref();
    });
    return channel;
  };
  const running = (async () => {
    const connection = await connect(lease, setUp, signal);
    if (connection === undefined) return;
    connection.on('disconnected', () => figures.count('connections lost and opened again'));
    const flooding = flood(context, connection, lease.namespace, work, life, signal).catch((error: unknown) => {
      if (signal.aborted || isOver(lease)) return;
      figures.count('queues whose growth a fault ended');
      context.journal.note(`the growth of a queue of ${lease.namespace} ended: ${String(error)}`);
    });
    while (!signal.aborted) {
      await pause(work.publishEveryMs, signal);
      await connection
        .use(
          async (channel) =>
            await publishAll(1, (done) =>
              channel.publish(exchange, 'soak', Buffer.from('work'), { persistent: true }, done),
            ),
          { signal },
        )
        .then(
          () => figures.count('messages published'),
          // The lease is over, or the work is.
          () => undefined,
        );
      if (isOver(lease)) break;
    }
    await flooding;
    await connection.close();
  })();
  return {
    async stop() {
      stopping.abort();
      await running.catch(() => undefined);
    },
  };
}

async function connect(
  lease: Lease,
  setUp: (connection: ChannelModel) => Promise<ConfirmChannel>,
  signal: AbortSignal,
): Promise<LeaseConnection<ConfirmChannel> | undefined> {
  while (!signal.aborted && !isOver(lease)) {
    try {
      const connection = await lease.connect(setUp, { drainMs: DRAIN_MS });
      return connection;
    } catch {
      // A node that is down may have the queue.
      await pause(RETRY_MS, signal);
    }
  }
  return undefined;
}

/** Sends this many messages, and waits until RabbitMQ has confirmed all. */
async function publishAll(count: number, send: (done: (refusal: unknown) => void) => unknown): Promise<void> {
  const sent = Array.from(
    { length: Math.max(0, count) },
    () =>
      new Promise<void>((resolve, reject) => {
        send((refusal) => (refusal ? reject(new Error('The message was refused.')) : resolve()));
      }),
  );
  await Promise.all(sent);
}

/** Fills a queue without a consumer, so that its owner gets notices. */
async function flood(
  { overgrown, figures }: Pick<RunContext, 'overgrown' | 'figures'>,
  connection: LeaseConnection<ConfirmChannel>,
  namespace: string,
  { flood: kind }: Work,
  life: string,
  signal: AbortSignal,
): Promise<void> {
  if (kind === 'none') return;
  // A name of its own for each growth: then there is one notice of each kind for a name.
  const queue = `queue/${namespace}/flood-${life}`;
  // Accounts have no right to the default exchange, which would route to it by its name.
  const exchange = `exchange/${namespace}/flood-${life}`;
  await connection.use(
    async (channel) => {
      await channel.assertExchange(exchange, 'fanout', { durable: true });
      await channel.assertQueue(queue, { durable: true });
      await channel.bindQueue(queue, exchange, '');
    },
    { signal },
  );
  /** Also over another connection, after one that was lost: what has arrived is counted. */
  const fill = (count: number): Promise<void> =>
    connection.use(
      async (channel) => {
        const { messageCount } = await channel.checkQueue(queue);
        await publishAll(count - messageCount, (done) =>
          channel.publish(exchange, '', Buffer.from('flood'), { persistent: true }, done),
        );
      },
      { signal },
    );
  await fill(SETTINGS.warnAtMessages + 50);
  figures.count('queues grown beyond the warning');
  await sleep(LARGE_MS, undefined, { signal });
  if (kind === 'deleted') {
    overgrown.add(queue);
    await fill(SETTINGS.deleteAtMessages + 50);
    figures.count('queues grown beyond the deletion');
    return;
  }
  await connection.use((channel) => channel.purgeQueue(queue), { signal });
}

function isOver(lease: Lease): boolean {
  try {
    return lease.connectionString === '';
  } catch {
    return true;
  }
}
