import assert from 'node:assert/strict';
import type { ConfirmChannel } from 'amqplib';
import { type Acknowledgement, type Consumer, startConsumer } from '../../src/requests/consumer.ts';
import { createLog } from '../../src/util/log.ts';
import { Secret } from '../../src/util/secret.ts';
import { withPort } from '../support/agent.ts';
import { createVhost, openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('a consumer that defers to others', function () {
  this.timeout(60_000);
  useSharedBroker();

  const QUEUE = 'requests';

  interface Taker {
    readonly consumer: Consumer;
    /** What it was delivered. */
    readonly taken: string[];
    acknowledgement: Acknowledgement;
  }

  async function make(): Promise<{ amqpUrl: string; channel: ConfirmChannel }> {
    const { amqpUrl } = await createVhost();
    const channel = await (await openConnection(amqpUrl)).createConfirmChannel();
    await channel.assertQueue(QUEUE, { arguments: { 'x-queue-type': 'quorum' } });
    return { amqpUrl, channel };
  }

  async function take(amqpUrl: string): Promise<Taker> {
    const taken: string[] = [];
    const taker = { taken, acknowledgement: 'ack' as Acknowledgement };
    const consumer = await startConsumer({
      amqpUrl: new Secret(amqpUrl),
      connectionName: 'requests',
      log: createLog({ logLevel: 'fatal', id: 'agent' }, { write: () => undefined }),
      queues: [{ name: QUEUE, prefetch: 100 }],
      serve: async ({ content }) => {
        taken.push(content.toString());
        return taker.acknowledgement;
      },
    });
    addCleanup(() => consumer.close());
    return Object.assign(taker, { consumer });
  }

  async function publish(channel: ConfirmChannel, count: number): Promise<void> {
    for (let sent = 0; sent < count; sent += 1) channel.sendToQueue(QUEUE, Buffer.from(`${sent}`));
    await channel.waitForConfirms();
  }

  it('gets nothing while another one has room, and its share again afterwards', async () => {
    const { amqpUrl, channel } = await make();
    const [first, second] = [await take(amqpUrl), await take(amqpUrl)];
    first.consumer.defer(true);
    assert.equal(await first.consumer.hasOthers(), true);
    await publish(channel, 40);
    await waitUntil(() => second.taken.length === 40, 'the other one gets all');
    assert.equal(first.taken.length, 0);
    first.consumer.defer(false);
    assert.equal(await first.consumer.hasOthers(), true);
    await publish(channel, 40);
    await waitUntil(() => first.taken.length + second.taken.length === 80, 'all are delivered');
    assert.ok(first.taken.length > 0);
  });

  it('gets everything while it is alone', async () => {
    const { amqpUrl, channel } = await make();
    const { consumer, taken } = await take(amqpUrl);
    consumer.defer(true);
    assert.equal(await consumer.hasOthers(), false);
    await publish(channel, 10);
    await waitUntil(() => taken.length === 10, 'all are delivered');
  });

  it('is one consumer, however often it changes', async () => {
    const { amqpUrl, channel } = await make();
    const { consumer } = await take(amqpUrl);
    for (const isDeferring of [true, false, true, true, false]) consumer.defer(isDeferring);
    assert.equal(await consumer.hasOthers(), false);
    await consumer.drain(5000);
    assert.equal((await channel.checkQueue(QUEUE)).consumerCount, 0);
  });

  it('leaves what it gives back to another one', async () => {
    const { amqpUrl, channel } = await make();
    const first = await take(amqpUrl);
    first.acknowledgement = 'requeue';
    const second = await take(amqpUrl);
    // What the first gets it gives back, in the same moment as it defers.
    const { taken } = first;
    const push = taken.push.bind(taken);
    taken.push = (...contents) => {
      first.consumer.defer(true);
      return push(...contents);
    };
    await publish(channel, 20);
    await waitUntil(() => second.taken.length === 20, 'the other one gets all');
    assert.equal(new Set(taken).size, taken.length, 'none came back to the first');
  });

  it('defers on the next connection, too', async () => {
    const { amqpUrl, channel } = await make();
    const [first, second] = [await take(amqpUrl), await take(amqpUrl)];
    first.consumer.defer(true);
    await first.consumer.hasOthers();
    await channel.deleteQueue(QUEUE);
    await waitUntil(() => !first.consumer.consuming && !second.consumer.consuming, 'both lost their queue');
    await channel.assertQueue(QUEUE, { arguments: { 'x-queue-type': 'quorum' } });
    await waitUntil(() => first.consumer.consuming && second.consumer.consuming, 'both consume again');
    await publish(channel, 20);
    await waitUntil(() => second.taken.length === 20, 'the other one gets all');
  });

  it('survives a connection that is lost while it changes', async () => {
    const { amqpUrl, channel } = await make();
    const relay = await makeRelay(Number(new URL(amqpUrl).port));
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    addCleanup(() => void process.off('unhandledRejection', onUnhandled));
    const { consumer, taken } = await take(withPort(amqpUrl, relay.port));
    // Neither the end of the old consumer nor the new one is answered any more.
    relay.stall();
    consumer.defer(true);
    await new Promise(setImmediate);
    relay.cut();
    await waitUntil(() => !consumer.consuming, 'the connection is lost');
    relay.restore();
    await waitUntil(() => consumer.consuming, 'it consumes again');
    await publish(channel, 1);
    await waitUntil(() => taken.length === 1, 'it gets a request');
    assert.deepEqual(unhandled, [], 'they would end an agent');
  });
});
