import { createLog } from '../../src/log.ts';
import { startConsumer } from '../../src/requests/consumer.ts';
import { openOutbox } from '../../src/requests/outbox.ts';
import { Secret } from '../../src/secret.ts';
import { createVhost, openConnection, sharedBroker } from '../support/broker.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { until } from '../support/watched.ts';

describe('the connections for requests and replies, when RabbitMQ does not answer any more', function () {
  this.timeout(30_000);

  it('are closed in time: heartbeats would take minutes', async () => {
    const broker = await sharedBroker();
    const { amqpUrl } = await createVhost(broker);
    const owner = await openConnection(amqpUrl);
    await (await owner.createChannel()).assertQueue('requests');
    const relay = await makeRelay(broker.amqpPort);
    const url = new URL(amqpUrl);
    url.port = String(relay.port);
    const log = createLog({ logLevel: 'fatal', id: 'agent' }, { write: () => undefined });
    const common = { url: new Secret(url.href), connectionName: 'silent', log };
    const outbox = await openOutbox(common);
    const queues = [{ name: 'requests', prefetch: 1 }];
    const consumer = await startConsumer({ ...common, queues, serve: async () => 'ack' });
    relay.stall();
    await consumer.drain(100);
    await Promise.all([consumer.close(), outbox.close()]);
    await until(() => relay.open() === 0, 'no connection is left open');
  });
});
