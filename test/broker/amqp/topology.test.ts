import assert from 'node:assert/strict';
import type { Channel, GetMessage } from 'amqplib';
import { ensureLimitPolicies, limitPolicies } from '../../../src/broker/policies.ts';
import { DIRECT_REPLY_TO } from '../../../src/contract/names.ts';
import { AgentError, isAgentError } from '../../../src/util/agent-errors.ts';
import { type BrokerFixture, openBrokerFixture } from '../../support/broker-fixture.ts';
import { manage, openConnection, useSharedBroker } from '../../support/broker.ts';

/** The next message of a queue. */
async function next(channel: Channel, queue: string): Promise<GetMessage> {
  for (;;) {
    const message = await channel.get(queue, { noAck: false });
    if (message !== false) return message;
  }
}

describe("the agent's topology", () => {
  const broker = useSharedBroker();
  let room: BrokerFixture;
  beforeEach(async () => {
    room = await openBrokerFixture();
  });

  it('is declared with the names of the contract and the queue type as the only argument', async () => {
    await room.open();
    const { management, names, vhost, requestVhost } = room;
    const own = async (where: string) =>
      (await management.listExchanges(where)).filter(({ name }) => name.includes(room.id));
    assert.deepEqual(await own(vhost), [{ name: names.eventsExchange, type: 'topic' }]);
    assert.deepEqual(
      new Map((await own(requestVhost)).map(({ name, type }) => [name, type])),
      new Map([
        [names.rpcExchange, 'direct'],
        [names.deadExchange, 'fanout'],
      ]),
    );
    const bindings = await management.listBindings(requestVhost);
    assert.deepEqual(
      new Set(bindings.map(({ source, destination, routingKey }) => `${source} ${routingKey} ${destination}`)),
      new Set([
        `${names.rpcExchange} ping ${names.requestQueue}`,
        `${names.rpcExchange} claim-namespace ${names.requestQueue}`,
        `${names.deadExchange} # ${names.deadQueue}`,
        `${names.deadExchange} # ${names.unknownMethodsQueue}`,
      ]),
    );
    const path = `/queues/${encodeURIComponent(requestVhost)}?disable_stats=true&columns=name,arguments,policy`;
    const { body } = await manage(broker(), 'GET', path);
    assert.deepEqual(body, [
      { name: names.deadQueue, arguments: { 'x-queue-type': 'quorum' }, policy: `${room.id}-v1-dead` },
      { name: names.requestQueue, arguments: { 'x-queue-type': 'quorum' }, policy: `${room.id}-v1-requests` },
      {
        name: names.unknownMethodsQueue,
        arguments: { 'x-queue-type': 'quorum' },
        policy: `${room.id}-v1-unknown-methods`,
      },
    ]);
  });

  it('is declared after its limits, which are written where they are missing', async () => {
    const calls: string[] = [];
    const { management, requestVhost } = room;
    const watched = {
      listPolicies: (of: string) => management.listPolicies(of),
      putPolicy: async (...args: Parameters<typeof management.putPolicy>) => {
        const queues = await management.listQueues(requestVhost);
        calls.push(`${args[1]} with ${queues.length} queues there`);
        return await management.putPolicy(...args);
      },
    };
    await room.open({ management: watched });
    const expected = limitPolicies({ id: room.id, maxSkewSeconds: 300 }).map(
      ({ name }) => `${name} with 0 queues there`,
    );
    assert.deepEqual(calls, expected);
    assert.deepEqual(await ensureLimitPolicies(watched, requestVhost, { id: room.id, maxSkewSeconds: 300 }), []);
    assert.deepEqual(await ensureLimitPolicies(watched, requestVhost, { id: room.id, maxSkewSeconds: 60 }), [
      `${room.id}-v1-requests`,
      `${room.id}-v1-unknown-methods`,
    ]);
  });

  it('is not declared when the limits cannot be written', async () => {
    const { management, requestVhost } = room;
    const failing = {
      listPolicies: (of: string) => management.listPolicies(of),
      putPolicy: () => Promise.reject(new AgentError('BrokerUnavailable', 'No.')),
    };
    await assert.rejects(room.open({ management: failing }), (error) => isAgentError(error, 'BrokerUnavailable'));
    assert.deepEqual(await management.listQueues(requestVhost), []);
  });

  it('names the remedy when another client declared a name differently', async () => {
    const channel = await (await openConnection(room.requestUrl)).createChannel();
    await channel.assertExchange(room.names.rpcExchange, 'fanout');
    await assert.rejects(room.open(), (error) => {
      assert.ok(isAgentError(error, 'BrokerUnavailable'));
      assert.match(error.message, /Delete the exchange or the queue of the same name/);
      assert.ok(!error.message.includes(room.password));
      return true;
    });
  });

  it('separates dead-lettered requests from those with an unknown method', async () => {
    await room.open();
    const { names } = room;
    const channel = await (await openConnection(room.requestUrl)).createChannel();
    const replied = new Promise<string>((resolve) => {
      void channel.consume(DIRECT_REPLY_TO, (reply) => resolve(String(reply?.content)), { noAck: true });
    });

    channel.publish(names.rpcExchange, 'no-such-method', Buffer.from('{}'), { replyTo: DIRECT_REPLY_TO });
    const unknown = await next(channel, names.unknownMethodsQueue);
    assert.equal(unknown.fields.exchange, names.rpcExchange);
    assert.equal(unknown.fields.routingKey, 'no-such-method');
    channel.sendToQueue(String(unknown.properties.replyTo), Buffer.from('unknown method'));
    assert.equal(await replied, 'unknown method');
    assert.equal((await next(channel, names.deadQueue)).fields.exchange, names.rpcExchange);

    channel.publish(names.rpcExchange, 'ping', Buffer.from('{}'));
    const request = await next(channel, names.requestQueue);
    assert.equal(request.fields.exchange, names.rpcExchange);
    channel.nack(request, false, false);
    assert.equal((await next(channel, names.deadQueue)).fields.exchange, names.deadExchange);
    assert.equal((await next(channel, names.unknownMethodsQueue)).fields.exchange, names.deadExchange);
  });

  it('dead-letters a request that is redelivered too often', async () => {
    await room.open();
    const channel = await (await openConnection(room.requestUrl)).createChannel();
    channel.publish(room.names.rpcExchange, 'ping', Buffer.from('poison'));
    for (let delivery = 0; delivery <= 5; delivery += 1) {
      channel.nack(await next(channel, room.names.requestQueue), false, true);
    }
    const dead = await next(channel, room.names.deadQueue);
    assert.equal(dead.content.toString(), 'poison');
    assert.equal(dead.properties.headers?.['x-first-death-reason'], 'delivery_limit');
  });

  it('bounds the number of requests and nacks a client that floods', async () => {
    await room.open();
    const { names } = room;
    const channel = await (await openConnection(room.requestUrl)).createConfirmChannel();
    const outcomes = { confirmed: 0, refused: 0 };
    const flood = Array.from(
      { length: 7000 },
      () =>
        new Promise<void>((resolve) => {
          channel.publish(names.rpcExchange, 'ping', Buffer.from('{}'), {}, (error: unknown) => {
            outcomes[error === null ? 'confirmed' : 'refused'] += 1;
            resolve();
          });
        }),
    );
    await Promise.all(flood);
    const { messageCount } = await channel.checkQueue(names.requestQueue);
    // Without waiting for confirms, the length that is checked lags by the messages in flight.
    assert.ok(messageCount >= 5000 && messageCount < 6000, `${messageCount} messages`);
    assert.ok(outcomes.refused > 1000, JSON.stringify(outcomes));
    assert.equal((await channel.checkQueue(names.deadQueue)).messageCount, 0);
  });
});
