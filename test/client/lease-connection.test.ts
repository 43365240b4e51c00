import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelModel, connect, type ConfirmChannel, type ConsumeMessage } from 'amqplib';
import { ClientClosed, LeaseLost, Unavailable } from '../../src/client/client-errors.ts';
import type { Lease } from '../../src/client/lease.ts';
import type { LeaseConnection, LeaseConnectionOptions } from '../../src/client/lease-connection.ts';
import { REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { cutConnections, manage } from '../support/broker.ts';
import { createCondition } from '../support/condition.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

/** A service that publishes numbers and keeps those that it receives. */
interface Numbers {
  readonly connection: LeaseConnection<ConfirmChannel>;
  readonly received: Set<number>;
  /** The events of the connection, and how often a number arrived that had arrived before. */
  readonly seen: { replaced: number; again: number; disconnected: string[]; failing: string[] };
  readonly publish: (number: number) => Promise<void>;
  /** Waits until this holds; it is checked after each event and each message. */
  readonly until: (what: string, holds: () => boolean) => Promise<void>;
  readonly notify: () => void;
}

/** How long the work for a message takes, in ms. */
const WORK_MS = 20;

const exchangeOf = ({ namespace }: Lease): string => `exchange/${namespace}/numbers`;
const queueOf = ({ namespace }: Lease): string => `queue/${namespace}/numbers`;

async function openNumbers(
  lease: Lease,
  options: LeaseConnectionOptions & { readonly exclusive?: boolean; readonly workMs?: number } = {},
): Promise<Numbers> {
  const { exclusive = false, workMs = WORK_MS, ...connectionOptions } = options;
  const [exchange, queue] = [exchangeOf(lease), queueOf(lease)];
  const received = new Set<number>();
  const seen: Numbers['seen'] = { replaced: 0, again: 0, disconnected: [], failing: [] };
  const changed = createCondition();
  const notify = (): void => changed.notify();
  const work = async (channel: ConfirmChannel, message: ConsumeMessage | null): Promise<void> => {
    if (message === null) return;
    const number = Number(message.content.toString());
    await delay(workMs);
    // The connection may have been lost meanwhile.
    channel.ack(message);
    if (received.has(number)) seen.again += 1;
    received.add(number);
    notify();
  };
  const setup = async (amqp: ChannelModel): Promise<ConfirmChannel> => {
    const channel = await amqp.createConfirmChannel();
    await channel.assertExchange(exchange, 'fanout');
    await channel.assertQueue(queue);
    await channel.bindQueue(queue, exchange, '');
    await channel.prefetch(10);
    await channel.consume(queue, (message) => void work(channel, message), { exclusive });
    return channel;
  };
  const connection = await lease.connect(setup, connectionOptions);
  connection.on('connected', ({ replaced }) => (seen.replaced += replaced ? 1 : 0));
  connection.on('disconnected', ({ error }) => seen.disconnected.push(error.message));
  connection.on('failing', ({ error }) => seen.failing.push(error.message));
  for (const event of ['connected', 'disconnected', 'failing'] as const) connection.on(event, notify);
  return {
    connection,
    received,
    seen,
    publish: (number) =>
      connection.use(async (channel) => {
        channel.publish(exchange, '', Buffer.from(String(number)), { persistent: true });
        await channel.waitForConfirms();
      }),
    until: async (what, holds) => {
      const failure = (): string => `not so: ${what}; ${received.size} received, ${JSON.stringify(seen)}`;
      await changed.wait(() => (holds() ? true : undefined), { failure });
    },
    notify,
  };
}

/** The agent deletes a queue of 8000 messages. */
const MAX_WAITING = 200;

/** Publishes one number after the other, as fast as they are received, until `enough`. */
async function publishUntil({ publish, received, until }: Numbers, enough: AbortSignal): Promise<number> {
  let next = 0;
  for (; !enough.aborted; next += 1) {
    await publish(next);
    if (next % MAX_WAITING === 0) await until('few are waiting', () => next - received.size < MAX_WAITING);
  }
  return next;
}

describe('the connection of a lease', function () {
  this.timeout(120_000);
  const rotating = useInstallation({ settings: { rotationIntervalSeconds: 2 } });
  const closing = useInstallation({ settings: { connectionMaxAgeSeconds: 1, reconcileIntervalSeconds: 1 } });
  const ordinary = useInstallation();

  const makeLease = async (installation = ordinary()): Promise<Lease> =>
    await installation.client(TEAM).lease({ namespace: teamNamespace() });
  const userOf = (lease: Lease): string => new URL(lease.connectionString).username;

  /** RabbitMQ lists a connection that was closed for some ms longer. */
  async function untilNoneOpen(lease: Lease): Promise<void> {
    const list = async (): Promise<unknown> =>
      (await manage(ordinary().broker, 'GET', `/connections/username/${userOf(lease)}`)).body;
    await waitUntil(async () => ((await list()) as unknown[]).length === 0, 'no connection is listed');
  }

  concurrentTests((it) => {
    it('loses and repeats no message over rotations', async () => {
      const lease = await makeLease(rotating());
      const numbers = await openNumbers(lease);
      const { seen, until, received } = numbers;
      const users = new Set<string>();
      numbers.connection.on('connected', () => users.add(userOf(lease)));
      const enough = new AbortController();
      const publishing = publishUntil(numbers, enough.signal);
      await until('four connections replaced', () => seen.replaced >= 4);
      enough.abort();
      const published = await publishing;
      await until('everything received', () => received.size === published);
      assert.ok(published > 100, `${published} messages`);
      assert.equal(users.size, 2);
      assert.deepEqual({ ...seen, replaced: 0 }, { replaced: 0, again: 0, disconnected: [], failing: [] });
      await lease.stop();
      await assert.rejects(numbers.publish(-1), ClientClosed);
    });

    it('loses no message over connections that the agent closes for their age, and lost ones', async () => {
      const lease = await makeLease(closing());
      const numbers = await openNumbers(lease);
      const { seen, until, received } = numbers;
      const enough = new AbortController();
      const publishing = publishUntil(numbers, enough.signal);
      const closedForAge = (): number =>
        seen.disconnected.filter((message) => /as long as it may/.test(message)).length;
      await until('one connection closed for its age', () => closedForAge() >= 1);
      await cutConnections(closing().broker, userOf(lease));
      await until('three connections closed for their age', () => closedForAge() >= 3);
      enough.abort();
      const published = await publishing;
      await until('everything received', () => received.size === published);
      assert.ok(published > 100, `${published} messages`);
      assert.deepEqual(seen.failing, []);
      await lease.stop();
    });

    it('waits for a connection while RabbitMQ cannot be reached, and publishes then', async () => {
      const lease = await makeLease();
      const relay = await makeRelay(ordinary().broker.amqpPort);
      const open = async (connectionString: string): Promise<ChannelModel> => {
        const url = new URL(connectionString);
        url.port = String(relay.port);
        return await connect(url.href);
      };
      const { publish, until, received, seen, connection } = await openNumbers(lease, { open });
      relay.cut();
      await until('an attempt failed', () => seen.failing.length > 0);
      const publishing = publish(1);
      const given = new AbortController();
      const waiting = connection.use(() => undefined, { signal: given.signal });
      given.abort(new Error('No longer needed.'));
      await assert.rejects(waiting, /No longer needed/);
      relay.restore();
      await publishing;
      await until('received', () => received.has(1));
      assert.equal(seen.disconnected.length, 1);
      await connection.close();
    });

    it('has other credentials after a revocation, and ends with the lease', async () => {
      const lease = await makeLease();
      const before = lease.connectionString;
      const lost = new Promise<LeaseLost>((resolve) => lease.once('lost', resolve));
      const { publish, until, received, seen } = await openNumbers(lease);
      const operator = ordinary().client(REVOKER);
      await operator.revokeNamespace(lease.namespace);
      await until('disconnected', () => seen.disconnected.length > 0);
      await publish(1);
      await until('received', () => received.has(1));
      assert.notEqual(lease.connectionString, before);
      await operator.revokeNamespace(lease.namespace, { until: new Date(Date.now() + 3_600_000) });
      await assert.rejects(publish(2), LeaseLost);
      assert.equal((await lost).details['reason'], 'taken-away');
    });

    it('is set up again when RabbitMQ closes a channel', async () => {
      const lease = await makeLease();
      const { connection, publish, until, received, seen } = await openNumbers(lease);
      const elsewhere = connection.use(async (channel) => {
        channel.publish(`exchange/${lease.namespace}/missing`, '', Buffer.from('1'));
        await channel.waitForConfirms();
      });
      await assert.rejects(elsewhere, /channel closed/);
      await until('set up again', () => seen.replaced > 0);
      await publish(2);
      await until('received', () => received.has(2));
      assert.match(seen.failing.join('\n'), /404 \(NOT-FOUND\)/);
      await lease.stop();
    });

    it('is set up again when its queue is deleted', async () => {
      const { broker, vhost } = ordinary();
      const lease = await makeLease();
      const { publish, until, received, seen } = await openNumbers(lease);
      const queue = `/queues/${vhost.vhost}/${encodeURIComponent(`queue/${lease.namespace}/numbers`)}`;
      await manage(broker, 'DELETE', queue);
      await until('set up again', () => seen.replaced > 0);
      await publish(1);
      await until('received', () => received.has(1));
      assert.match(seen.failing.join('\n'), /cancelled the consumer/);
      await lease.stop();
    });

    it('finishes what it has begun before it is closed', async () => {
      const lease = await makeLease();
      const { connection, publish, until, received, seen } = await openNumbers(lease, { workMs: 500 });
      const publishing = Promise.all([1, 2, 3].map((number) => publish(number)));
      await connection.use((channel) => channel.waitForConfirms());
      await until('one received', () => received.size > 0);
      await Promise.all([lease.stop(), publishing]);
      assert.deepEqual(received, new Set([1, 2, 3]), 'what was delivered was acknowledged');
      assert.equal(seen.again, 0);
      await untilNoneOpen(lease);
    });

    it('closes one that has not finished after drainMs', async () => {
      const lease = await makeLease();
      const { connection, publish } = await openNumbers(lease, { workMs: 60_000, drainMs: 100 });
      await publish(1);
      const never = connection.use(() => new Promise(() => undefined));
      await Promise.all([assert.rejects(never, ClientClosed), connection.close()]);
      await lease.stop();
    });

    it('fails when the first connection cannot be opened or set up, and leaves none open', async () => {
      const lease = await makeLease();
      await assert.rejects(
        lease.connect(async (amqp) => {
          await amqp.createChannel();
          throw new Error('A bug of the service.');
        }),
        /A bug of the service/,
      );
      await untilNoneOpen(lease);
      const connectBeyondLimit = async (): Promise<never> => {
        for (;;) {
          // The agent soon repairs the limit.
          await manage(ordinary().broker, 'PUT', `/user-limits/${userOf(lease)}/max-connections`, { value: 0 });
          await lease.connect(() => undefined);
        }
      };
      await assert.rejects(connectBeyondLimit, Unavailable);
      await lease.stop();
      await assert.rejects(
        lease.connect(() => undefined),
        ClientClosed,
      );
    });

    it('closes the connection before it opens the next, without overlap', async () => {
      const lease = await makeLease(rotating());
      const { publish, until, received, seen } = await openNumbers(lease, { overlap: false, exclusive: true });
      const first = lease.connectionString;
      for (let next = 0; lease.connectionString === first; next += 1) await publish(next);
      await publish(1_000_000);
      await until('received', () => received.has(1_000_000));
      assert.doesNotMatch(seen.failing.join('\n'), /exclusive/);
      await lease.stop();
    });
  });
});
