import type { Consumer } from '../../src/requests/consumer.ts';
import { createLog } from '../../src/util/log.ts';
import { startConsumer } from '../../src/requests/consumer.ts';
import { openOutbox, type Outbox } from '../../src/requests/outbox.ts';
import { Secret } from '../../src/util/secret.ts';
import { createVhost, openConnection, sharedBroker, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

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
    const outbox = await openOutbox({ ...common, url: replyUrl });
    addCleanup(() => outbox.close());
    const queues = [{ name: 'requests', prefetch: 1 }];
    const consumer = await startConsumer({ ...common, url: requestUrl, queues, serve: async () => 'ack' });
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
