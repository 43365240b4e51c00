import assert from 'node:assert/strict';
import type { Channel, ConsumeMessage } from 'amqplib';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, openConnection, sharedBroker } from '../support/broker.ts';

/** Consumes agent events with the credentials of a namespace, as owners and operators do. */
async function listen(installation: TestInstallation, namespace: string, key: string) {
  const rpc = await installation.rpc(TEAM);
  const { connectionString } = await rpc.request('claim-namespace', { namespace });
  const channel: Channel = await (await openConnection(connectionString)).createChannel();
  const queue = `queue/${namespace}/events`;
  await channel.assertQueue(queue);
  await channel.bindQueue(queue, installation.names.eventsExchange, key);
  const arrived: ConsumeMessage[] = [];
  let wake: (() => void) | undefined;
  await channel.consume(
    queue,
    (message) => {
      if (message !== null) arrived.push(message);
      wake?.();
    },
    { noAck: true },
  );
  return async (): Promise<ConsumeMessage> => {
    for (;;) {
      const message = arrived.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}

/** Checks the format that all events share; returns the data. */
function dataOf(message: ConsumeMessage, installation: TestInstallation, type: string, subject: string) {
  assert.equal(message.properties.contentType, 'application/cloudevents+json');
  assert.equal(message.properties.deliveryMode, 2);
  assert.equal(message.fields.routingKey, `${type}.${subject}`);
  const { id, source, time, data, ...rest } = JSON.parse(message.content.toString());
  assert.deepEqual(rest, { specversion: '1.0', type, subject, datacontenttype: 'application/json' });
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.equal(message.properties.messageId, id);
  assert.ok(source.startsWith(`/${installation.config.id}/`));
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  return data as Record<string, unknown>;
}

describe('agent events', () => {
  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  it('namespace.claimed: for a new namespace and a new holder, not for every re-claim', async () => {
    const installation = await makeInstallation();
    await installation.start();
    const watcher = teamNamespace();
    const next = await listen(installation, watcher, 'namespace.#');
    const namespace = teamNamespace();
    const rpc = await installation.rpc(TEAM);
    const claimed = await rpc.request('claim-namespace', { namespace, contact: 'team@example.com' });
    const { created, expires, reclaimAt } = claimed;
    const data = { namespace, clientId: TEAM, created, expires, reclaimAt };
    assert.deepEqual(dataOf(await next(), installation, 'namespace.claimed', namespace), { ...data, first: true });

    await rpc.request('claim-namespace', { namespace });
    const client = { clientId: 'team/second', accessToken: 'second-0000000000000000000000' };
    installation.taskcluster.setClient({ ...client, scopes: [`pulse:namespace:${namespace}`] });
    const second = await installation.rpc(client.clientId);
    const again = await second.request('claim-namespace', { namespace });
    assert.deepEqual(dataOf(await next(), installation, 'namespace.claimed', namespace), {
      ...data,
      clientId: client.clientId,
      first: false,
      expires: again.expires,
      reclaimAt: again.reclaimAt,
    });
  });

  it('agent.started and agent.stopped, also in a queue bound to one agent', async () => {
    const installation = await makeInstallation();
    const first = await installation.start();
    const next = await listen(installation, teamNamespace(), 'agent.*.*');
    await first.stop();
    const stopped = dataOf(await next(), installation, 'agent.stopped', first.instance);
    assert.match(String(stopped['version']), /^\d+\.\d+\.\d+/);
    assert.ok(Number.isInteger(stopped['uptimeSeconds']));
    const second = await installation.start();
    const started = dataOf(await next(), installation, 'agent.started', second.instance);
    assert.deepEqual(Object.keys(started), ['version']);
    assert.notEqual(second.instance, first.instance);
  });
});
