import assert from 'node:assert/strict';
import type { ConsumeMessage } from 'amqplib';
import { bodyBytesOf, limitBodies } from '../../../src/broker/amqp/amqplib-body-limit.ts';
import { createVhost, openConnection, useSharedBroker } from '../../support/broker.ts';

const MAX_BYTES = 16 * 1024;

describe('a connection with a limit of bodies', () => {
  useSharedBroker();

  /** Publishes bodies of these sizes, and consumes them on a connection with a limit, over two channels. */
  const consume = async (sizes: readonly number[]): Promise<ConsumeMessage[]> => {
    const { amqpUrl } = await createVhost();
    const publisher = await (await openConnection(amqpUrl)).createConfirmChannel();
    const connection = await openConnection(amqpUrl);
    limitBodies(connection, MAX_BYTES);
    const queues = ['one', 'two'];
    for (const queue of queues) await publisher.assertQueue(queue);
    sizes.forEach((size, index) => {
      publisher.sendToQueue(queues[index % 2] ?? '', Buffer.alloc(size, 'x'), { messageId: String(index) });
    });
    await publisher.waitForConfirms();
    const received: ConsumeMessage[] = [];
    await new Promise<void>((resolve) => {
      for (const queue of queues) {
        void connection.createChannel().then(async (channel) => {
          await channel.consume(queue, (message) => {
            if (message === null) return;
            channel.ack(message);
            received.push(message);
            if (received.length === sizes.length) resolve();
          });
        });
      }
    });
    return received.toSorted((one, other) => Number(one.properties.messageId) - Number(other.properties.messageId));
  };

  it('delivers bodies up to the limit whole, and larger ones empty, with their size', async () => {
    const sizes = [0, 1, MAX_BYTES, MAX_BYTES + 1, 200_000, 5, 3_000_000, MAX_BYTES, 1];
    const received = await consume(sizes);
    assert.deepEqual(received.map(bodyBytesOf), sizes);
    assert.deepEqual(
      received.map(({ content }) => content.length),
      sizes.map((size) => (size > MAX_BYTES ? 0 : size)),
    );
    for (const { content } of received) assert.ok(content.every((byte) => byte === 'x'.charCodeAt(0)));
  });
});
