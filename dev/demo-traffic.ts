import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { PulseAgentClient } from '../src/client/client.ts';
import type { LocalInstallation } from './local-installation.ts';

/** A queue of a service, and what happens to its messages. */
interface BusyQueue {
  readonly name: string;
  readonly perSecond: number;
  /** How long its consumer keeps messages before it acknowledges all of them, in s; undefined: it has no consumer. */
  readonly ackEverySeconds?: number;
}

interface Service {
  readonly clientId: string;
  readonly namespace: string;
  readonly queues: readonly BusyQueue[];
}

const PUBLISH_EVERY_MS = 1000;

/** What a replaced connection has not acknowledged by then is delivered again, in ms. */
const DRAIN_MS = 1000;

const SERVICES: readonly Service[] = [
  {
    clientId: 'team-a/service',
    namespace: 'taskcluster-team-a-builds',
    queues: [
      { name: 'tasks', perSecond: 8, ackEverySeconds: 8 },
      { name: 'artifacts', perSecond: 3, ackEverySeconds: 1 },
    ],
  },
  {
    clientId: 'team-a/service',
    namespace: 'taskcluster-team-a-logs',
    // Warned of after 100 seconds, deleted after 300; then it begins again.
    queues: [{ name: 'archive', perSecond: 5 }],
  },
  {
    clientId: 'team-b/service',
    namespace: 'taskcluster-team-b',
    queues: [
      { name: 'events', perSecond: 1 },
      { name: 'work', perSecond: 4, ackEverySeconds: 5 },
    ],
  },
];

/** Services that hold namespaces, publish and consume. */
export interface DemoTraffic {
  stop(): Promise<void>;
}

/** Starts services whose leases renew themselves, so that there is something to see. */
export async function startTraffic(
  { claimantUrl, taskcluster }: Pick<LocalInstallation, 'claimantUrl' | 'taskcluster'>,
  signal: AbortSignal,
): Promise<DemoTraffic> {
  const clients: PulseAgentClient[] = [];
  const timers: NodeJS.Timeout[] = [];
  const stop = async (): Promise<void> => {
    for (const timer of timers) clearInterval(timer);
    await Promise.all(clients.map((client) => client.close()));
  };
  try {
    for (const { clientId, namespace, queues } of SERVICES) {
      signal.throwIfAborted();
      const client = new PulseAgentClient({ url: claimantUrl, credentials: taskcluster.credentials(clientId) });
      clients.push(client);
      const lease = await client.lease({ namespace, contact: `${clientId.replace(/\/.*/, '')}@example.com` });
      // An operator may try what revocation does.
      lease.on('lost', () => undefined);
      const connection = await lease.connect(
        async (amqp) => {
          const channel = await amqp.createConfirmChannel();
          for (const queue of queues) await consume(channel, namespace, queue);
          return channel;
        },
        { drainMs: DRAIN_MS },
      );
      const publish = (): Promise<void> =>
        connection.use(async (channel) => {
          for (const { name, perSecond } of queues) {
            // The agent deletes a queue that grows too large.
            await declare(channel, namespace, name);
            for (let sent = 0; sent < perSecond; sent += 1) {
              channel.publish(exchangeOf(namespace, name), '', Buffer.from(new Date().toISOString()));
            }
          }
        });
      // What fails, as after a revocation, is no matter of the demo.
      timers.push(setInterval(() => void publish().catch(() => undefined), PUBLISH_EVERY_MS));
    }
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Declares a queue, and consumes it if it has a consumer. */
async function consume(channel: ConfirmChannel, namespace: string, queue: BusyQueue): Promise<void> {
  const { name, ackEverySeconds } = queue;
  await declare(channel, namespace, name);
  if (ackEverySeconds === undefined) return;
  let latest: ConsumeMessage | undefined;
  await channel.consume(queueOf(namespace, name), (message) => {
    if (message !== null) latest = message;
  });
  const timer = setInterval(() => {
    if (latest !== undefined) channel.ack(latest, true);
    latest = undefined;
  }, ackEverySeconds * 1000);
  channel.once('close', () => clearInterval(timer));
}

async function declare(channel: ConfirmChannel, namespace: string, name: string): Promise<void> {
  await channel.assertQueue(queueOf(namespace, name));
  await channel.assertExchange(exchangeOf(namespace, name), 'fanout');
  await channel.bindQueue(queueOf(namespace, name), exchangeOf(namespace, name), '');
}

function queueOf(namespace: string, name: string): string {
  return `queue/${namespace}/${name}`;
}

function exchangeOf(namespace: string, name: string): string {
  return `exchange/${namespace}/${name}`;
}
