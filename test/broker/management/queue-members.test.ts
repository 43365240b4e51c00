import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createManagement, type Management } from '../../../src/broker/management/management.ts';
import { hasReplicaCall } from '../../../src/broker/queue-replicas.ts';
import { Secret } from '../../../src/util/secret.ts';
import { openBrokerFixture } from '../../support/broker-fixture.ts';
import { openConnection, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';

const QUORUM = { durable: true, arguments: { 'x-queue-type': 'quorum' } };

/** A management API that gives one answer, and a client of it. */
async function answering(status: number, body: unknown): Promise<Management> {
  const server = createServer((_request, response) => {
    // As RabbitMQ's handlers of resources do.
    response.writeHead(status, { 'content-type': 'application/json', vary: 'accept, accept-encoding, origin' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const management = createManagement({
    url: `http://127.0.0.1:${port}`,
    username: 'agent',
    password: new Secret('password'),
    timeoutMs: 10_000,
  });
  addCleanup(async () => {
    management.close();
    server.close();
    server.closeAllConnections();
  });
  return management;
}

describe('replicas of a quorum queue (answers of RabbitMQ)', () => {
  const nodes = ['rabbit@a', 'rabbit@b', 'rabbit@c'];

  it('has no leader while none is elected', async () => {
    const listed = { name: 'requests', type: 'quorum', leader: null, members: nodes, online: ['rabbit@b'] };
    assert.deepEqual(await (await answering(200, listed)).getQuorumQueue('/', 'requests'), {
      name: 'requests',
      leader: undefined,
      members: nodes,
      online: ['rabbit@b'],
    });
  });

  for (const [what, online] of [
    ['a minority is online', ['rabbit@a']],
    ['its node is down', ['rabbit@b', 'rabbit@c']],
  ] as const) {
    it(`has no leader while ${what}, although RabbitMQ 4 names the last one`, async () => {
      const listed = { name: 'requests', type: 'quorum', leader: 'rabbit@a', members: nodes, online };
      assert.equal((await (await answering(200, listed)).getQuorumQueue('/', 'requests'))?.leader, undefined);
    });
  }

  it('says with 405 that replicas are not added over this API', async () => {
    const management = await answering(405, undefined);
    assert.equal(await management.addQueueMember('/', 'requests', 'rabbit@b'), false);
  });

  for (const [status, code] of [
    [401, 'BrokerRefused'],
    [503, 'BrokerUnavailable'],
  ] as const) {
    it(`fails with ${code} after ${status}`, async () => {
      const management = await answering(status, { reason: 'node_not_running' });
      await assert.rejects(management.addQueueMember('/', 'requests', 'rabbit@b'), { code });
    });
  }
});

describe('replicas of a quorum queue', () => {
  const broker = useSharedBroker();

  it('names leader, members and the members that are online, and nothing for other queues', async () => {
    const { amqpUrl, vhost, management } = await openBrokerFixture();
    const channel = await (await openConnection(amqpUrl)).createChannel();
    await channel.assertQueue('queue/a/requests', QUORUM);
    await channel.assertQueue('queue/a/classic', { durable: true });
    const { nodeName } = broker();
    assert.deepEqual(await management.getQuorumQueue(vhost, 'queue/a/requests'), {
      name: 'queue/a/requests',
      leader: nodeName,
      members: [nodeName],
      online: [nodeName],
    });
    assert.equal(await management.getQuorumQueue(vhost, 'queue/a/classic'), undefined);
    assert.equal(await management.getQuorumQueue(vhost, 'queue/a/none'), undefined);
  });

  it('adds a member again without a change, or says that this RabbitMQ has no such call', async () => {
    const { amqpUrl, vhost, management } = await openBrokerFixture();
    const channel = await (await openConnection(amqpUrl)).createChannel();
    await channel.assertQueue('queue/a/requests', QUORUM);
    const { rabbitmqVersion } = await management.overview();
    const isDone = await management.addQueueMember(vhost, 'queue/a/requests', broker().nodeName);
    assert.equal(isDone, hasReplicaCall(rabbitmqVersion));
    assert.deepEqual((await management.getQuorumQueue(vhost, 'queue/a/requests'))?.members, [broker().nodeName]);
  });
});
