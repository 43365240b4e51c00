import assert from 'node:assert/strict';
import { createEventCause } from '../../../src/broker/amqp/cause-broker-event.ts';
import { contractNames } from '../../../src/contract/names.ts';
import { Secret } from '../../../src/util/secret.ts';
import { createVhost, openConnection, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeRelay } from '../../support/tcp-relay.ts';

describe('the cause of broker events', () => {
  useSharedBroker();

  it('ends when RabbitMQ does not answer, and opens another connection for the next one', async () => {
    const { amqpUrl, vhost } = await createVhost();
    const channel = await (await openConnection(amqpUrl)).createChannel();
    await channel.assertQueue(contractNames('agent').brokerEventsQueue);
    const url = new URL(amqpUrl);
    const relay = await makeRelay(Number(url.port), url.hostname);
    url.port = String(relay.port);
    const eventCause = createEventCause({
      id: 'agent',
      amqpUrl: new Secret(url.href),
      eventVhost: vhost,
      timeoutMs: 2_000,
    });
    addCleanup(() => eventCause.close());
    await eventCause.cause();
    relay.stall();
    await assert.rejects(eventCause.cause(), /no answer within 2000 ms/);
    relay.restore();
    await eventCause.cause();
    assert.equal(relay.accepted(), 2);
  });
});
