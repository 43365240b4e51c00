import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ConsumeMessage } from 'amqplib';
import type { OutgoingEvent } from '../../../src/broker/amqp/event-publisher.ts';
import { isAgentError } from '../../../src/util/agent-errors.ts';
import { startRabbitMQ } from '../../../dev/rabbitmq.ts';
import { Secret } from '../../../src/util/secret.ts';
import { type BrokerFixture, openBrokerFixture } from '../../support/broker-fixture.ts';
import { BROKER_START_MS, manage, openConnection, untilKnown, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeFolder } from '../../support/folders.ts';

const EVENT: OutgoingEvent = {
  routingKey: 'namespace.claimed.taskcluster-x',
  body: '{"type":"namespace.claimed"}',
  contentType: 'application/cloudevents+json',
  messageId: 'event-1',
};
/** For a broker whose management API is not used. */
const noPolicies = { listPolicies: async () => [], putPolicy: async () => 'created' as const };
const unavailable = (error: unknown) => isAgentError(error, 'BrokerUnavailable');

describe('the topology connection', () => {
  const broker = useSharedBroker();
  let room: BrokerFixture;
  beforeEach(async () => {
    room = await openBrokerFixture();
  });

  const listen = async (url: string): Promise<() => Promise<ConsumeMessage>> => {
    const channel = await (await openConnection(url)).createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, room.names.eventsExchange, '#');
    const waiting: ((message: ConsumeMessage) => void)[] = [];
    const come: ConsumeMessage[] = [];
    await channel.consume(
      queue,
      (message) => {
        if (message === null) return;
        const taker = waiting.shift();
        if (taker === undefined) come.push(message);
        else taker(message);
      },
      { noAck: true },
    );
    return () =>
      new Promise((resolve) => {
        const message = come.shift();
        if (message === undefined) waiting.push(resolve);
        else resolve(message);
      });
  };

  it('publishes an event unchanged and persistent', async () => {
    const agent = await room.open();
    const heard = await listen(room.amqpUrl);
    await agent.publishEvent({ ...EVENT, body: Buffer.from(EVENT.body) });
    const { content, fields, properties } = await heard();
    assert.equal(content.toString(), EVENT.body);
    assert.equal(fields.routingKey, EVENT.routingKey);
    assert.equal(properties.contentType, EVENT.contentType);
    assert.equal(properties.messageId, EVENT.messageId);
    assert.equal(properties.deliveryMode, 2);
  });

  it('publishes without a subscriber', async () => {
    const agent = await room.open();
    await agent.publishEvent(EVENT);
  });

  it('rejects in time while the exchange is missing, and recovers', async () => {
    const agent = await room.open({ publishTimeoutMs: 500 });
    const channel = await (await openConnection(room.amqpUrl)).createChannel();
    await channel.deleteExchange(room.names.eventsExchange);
    await assert.rejects(agent.publishEvent(EVENT), unavailable);
    await channel.assertExchange(room.names.eventsExchange, 'topic');
    await agent.publishEvent(EVENT);
  });

  it('reconnects, restores limits and topology, and calls the listeners', async () => {
    const agent = await room.open();
    const { management, names, requestVhost } = room;
    let back: () => void;
    const returned = new Promise<void>((resolve) => {
      back = resolve;
    });
    agent.onReconnect(() => back());
    await management.deleteQueue(requestVhost, names.deadQueue);
    await management.deletePolicy(requestVhost, `${room.id}-v1-dead`);
    const bystander = await openConnection(room.amqpUrl);
    const cut = once(bystander, 'close');
    await untilKnown(bystander, () => management.listUserConnections(room.user));
    await management.closeUserConnections(room.user, 'test');
    await cut;
    await returned;
    assert.ok((await management.listQueues(requestVhost)).some(({ name }) => name === names.deadQueue));
    assert.ok((await management.listPolicies(requestVhost)).some(({ name }) => name === `${room.id}-v1-dead`));
    await agent.publishEvent(EVENT);
  });

  it('survives a restart of the broker', async function () {
    this.timeout(BROKER_START_MS);
    const own = await startRabbitMQ({ folder: makeFolder('rabbitmq') });
    addCleanup(() => own.kill());
    const { requestVhost } = room;
    await manage(own, 'PUT', `/vhosts/${requestVhost}`);
    const everything = { configure: '.*', write: '.*', read: '.*' };
    await manage(own, 'PUT', `/permissions/${requestVhost}/${own.user}`, everything);
    const agent = await room.open({
      amqpUrl: new Secret(own.amqpUrl),
      vhost: '/',
      requestVhost,
      management: noPolicies,
      publishTimeoutMs: 1000,
    });
    const returned = new Promise<void>((resolve) => void agent.onReconnect(resolve));
    await agent.publishEvent(EVENT);
    await own.kill();
    const asked = performance.now();
    await assert.rejects(agent.publishEvent(EVENT), unavailable);
    assert.ok(performance.now() - asked < 3000);
    await own.start();
    await returned;
    const heard = await listen(own.amqpUrl);
    await agent.publishEvent({ ...EVENT, messageId: 'event-2' });
    assert.equal((await heard()).properties.messageId, 'event-2');
    assert.ok(room.faults.length > 0, 'faults are reported, not thrown');
    for (const fault of room.faults) assert.ok(!fault.message.includes(own.password));
  });

  it('leaves no connection open when the topology cannot be declared', async () => {
    const channel = await (await openConnection(room.requestUrl)).createChannel();
    await channel.assertExchange(room.names.rpcExchange, 'fanout');
    for (let i = 0; i < 3; i += 1) await assert.rejects(room.open(), unavailable);
    // Statistics lag by seconds: a later connection is listed later.
    await openConnection(room.requestUrl);
    const path = `/vhosts/${encodeURIComponent(room.requestVhost)}/connections`;
    for (;;) {
      const { body } = await manage(broker(), 'GET', path);
      const listed: unknown[] = Array.isArray(body) ? body : [];
      const ours = listed.filter((connection) => JSON.stringify(connection).includes(' topology'));
      if (listed.length - ours.length < 2) continue;
      assert.deepEqual(ours, []);
      break;
    }
  });

  it('publishes nothing after close', async () => {
    const agent = await room.open({ publishTimeoutMs: 300 });
    await agent.close();
    await assert.rejects(agent.publishEvent(EVENT), unavailable);
  });
});
