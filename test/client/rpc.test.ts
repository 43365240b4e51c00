import assert from 'node:assert/strict';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { openRpc, type Rpc } from '../../src/client/rpc.ts';
import { contractNames } from '../../src/contract/names.ts';
import { manage, openConnection, createVhost, useSharedBroker, type TestVhost } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('requests on one connection', () => {
  const broker = useSharedBroker();
  let vhost: TestVhost;
  let agent: ConfirmChannel;
  let rpc: Rpc;
  let queue: string;

  beforeEach('a client, and a request queue that a test consumes instead of an agent', async () => {
    vhost = await createVhost();
    const id = unique('agent');
    const { rpcExchange } = contractNames(id);
    agent = await (await openConnection(vhost.amqpUrl)).createConfirmChannel();
    queue = unique('requests');
    await agent.assertExchange(rpcExchange, 'topic');
    await agent.assertQueue(queue, { arguments: { 'x-overflow': 'reject-publish', 'x-max-length': 1 } });
    await agent.bindQueue(queue, rpcExchange, '#');
    rpc = await openRpc(await openConnection(vhost.amqpUrl), { id });
    addCleanup(() => rpc.close());
  });

  it('go over another channel after RabbitMQ refused one, and what waits on the first one is answered', async () => {
    const waiting = rpc.request('ping', {});
    const first = await next();
    const filling = rpc.request('ping', {});
    await assert.rejects(untilRefused(), { code: 'Unavailable', message: /full, or has no leader/ });
    const filled = await next();
    assert.equal(filled.properties.replyTo, first.properties.replyTo, 'both were sent before a refusal');

    const again = rpc.request('ping', {});
    const last = await next();
    assert.notEqual(last.properties.replyTo, first.properties.replyTo);
    for (const request of [last, filled, first]) answer(request);
    await Promise.all([waiting, filling, again]);
    // The channel that RabbitMQ refused a request on is closed, and its address with it.
    await waitUntil(async () => (await channelsOf(vhost)) <= 2, 'its channel is closed');
  });

  async function untilRefused(): Promise<never> {
    for (;;) await rpc.request('ping', {});
  }

  /** Takes the next request from the queue. */
  async function next(): Promise<ConsumeMessage> {
    for (;;) {
      const message = await agent.get(queue);
      if (message !== false) return message as unknown as ConsumeMessage;
    }
  }

  function answer({ properties }: ConsumeMessage): void {
    const { replyTo, correlationId } = properties as { replyTo: string; correlationId: string };
    const pong = JSON.stringify({ alive: true, uptimeSeconds: 1, version: '1.0.0', agent: 'test' });
    agent.sendToQueue(replyTo, Buffer.from(pong), { correlationId, type: 'result', contentType: 'application/json' });
  }

  async function channelsOf({ vhost: name }: TestVhost): Promise<number> {
    const { body } = await manage(broker(), 'GET', `/vhosts/${encodeURIComponent(name)}/channels`);
    return (body as unknown[]).length;
  }
});
