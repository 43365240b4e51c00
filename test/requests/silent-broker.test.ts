import assert from 'node:assert/strict';
import { join } from 'node:path';
import { startRabbitMQ } from '../../dev/rabbitmq.ts';
import { makeFolder } from '../support/folders.ts';
import type { Consumer } from '../../src/requests/consumer.ts';
import { systemClock, systemSleep } from '../../src/util/clock.ts';
import { createLog } from '../../src/util/log.ts';
import { startConsumer } from '../../src/requests/consumer.ts';
import { openOutbox, type Outbox } from '../../src/requests/outbox.ts';
import { Secret } from '../../src/util/secret.ts';
import { BROKER_START_MS, createVhost, openConnection, sharedBroker, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

/** Nodes that all run. */
const nodes = { runs: () => true, listAgain: async () => true };
const outboxParts = { nodes, clock: systemClock, sleep: systemSleep };

describe('the connections for requests and replies, when RabbitMQ stops answering', function () {
  this.timeout(60_000);
  useSharedBroker();

  async function open(): Promise<{ relays: readonly TcpRelay[]; consumer: Consumer; outbox: Outbox }> {
    const { amqpPort } = await sharedBroker();
    const { amqpUrl } = await createVhost();
    const owner = await openConnection(amqpUrl);
    await (await owner.createChannel()).assertQueue('requests');
    const relays = [await makeRelay(amqpPort), await makeRelay(amqpPort)] as const;
    const [requestUrl, replyUrl] = relays.map(({ port }) => {
      const url = new URL(amqpUrl);
      url.port = String(port);
      return new Secret(url.href);
    }) as [Secret, Secret];
    const log = createLog({ logLevel: 'fatal', id: 'agent' }, { write: () => undefined });
    const patience = { heartbeatSeconds: 1, connectTimeoutMs: 500 };
    const common = { connectionName: 'silent', log, patience };
    const outbox = await openOutbox({ ...common, ...outboxParts, amqpUrl: replyUrl });
    addCleanup(() => outbox.close());
    const queues = [{ name: 'requests', prefetch: 1 }];
    const consumer = await startConsumer({ ...common, amqpUrl: requestUrl, queues, serve: async () => 'ack' });
    addCleanup(() => consumer.close());
    return { relays, consumer, outbox };
  }

  it('are closed in time, before heartbeats would notice', async () => {
    const { relays, consumer, outbox } = await open();
    for (const relay of relays) relay.stall();
    await consumer.drain(100);
    await Promise.all([consumer.close(), outbox.close()]);
    await waitUntil(() => relays.every((relay) => relay.open() === 0), 'no connection is left open');
  });

  it('are dropped after two missed heartbeats, reconnect until they succeed, and work again', async () => {
    const { relays, consumer, outbox } = await open();
    await waitUntil(() => consumer.consuming && outbox.connected, 'both work');
    const before = relays.map((relay) => relay.accepted());
    for (const relay of relays) relay.stall();
    await waitUntil(() => !consumer.consuming && !outbox.connected, 'both are given up');
    // A connection attempt that gets no answer is dropped too.
    await waitUntil(
      () => relays.every((relay, index) => relay.accepted() >= (before[index] ?? 0) + 2),
      'both knock again and again',
    );
    for (const relay of relays) relay.restore();
    await waitUntil(() => consumer.consuming && outbox.connected, 'both work again');
  });
});

describe('the connection for replies, when RabbitMQ confirms nothing', function () {
  this.timeout(BROKER_START_MS);

  it('gives a reply up at its deadline, does not send it again, and works after that', async () => {
    const broker = await startRabbitMQ({ folder: join(makeFolder('confirming'), 'rabbitmq') });
    addCleanup(() => broker.stop());
    const { amqpUrl } = await createVhost(broker);
    const lines: string[] = [];
    const log = createLog({ logLevel: 'warn', id: 'agent' }, { write: (line: string) => void lines.push(line) });
    const outbox = await openOutbox({
      ...outboxParts,
      connectionName: 'replies',
      log,
      amqpUrl: new Secret(amqpUrl),
      sendDeadlineMs: 1_500,
    });
    addCleanup(() => outbox.close());
    const reader = await (await openConnection(amqpUrl)).createChannel();
    await reader.assertQueue('replies');
    const message = (content: string) => ({
      exchange: '',
      routingKey: 'replies',
      content: Buffer.from(content),
      options: {},
    });
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.00001']);
    const hasAlarm = async (): Promise<boolean> =>
      (await broker.rabbitmqctl(['eval', 'rabbit_alarm:get_alarms().'])).includes('memory');
    await waitUntil(hasAlarm, 'RabbitMQ has an alarm');
    // It reaches the broker, which takes nothing any more.
    await assert.rejects(outbox.send(message('lost')), { code: 'BrokerUnavailable' });
    assert.ok(lines.some((line) => line.includes('reply_unconfirmed')));
    await broker.rabbitmqctl(['set_vm_memory_high_watermark', '0.6']);
    await waitUntil(() => outbox.connected, 'it is connected again');
    assert.equal(await outbox.send(message('next')), 'confirmed');
    const contents: string[] = [];
    for (let got = await reader.get('replies'); got !== false; got = await reader.get('replies')) {
      contents.push(got.content.toString());
    }
    // RabbitMQ may have taken the first one when the alarm was over, and then once.
    assert.deepEqual(
      contents.filter((content) => content === 'next'),
      ['next'],
    );
    assert.ok(contents.filter((content) => content === 'lost').length <= 1);
  });
});
