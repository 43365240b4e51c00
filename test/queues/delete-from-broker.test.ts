import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ChannelModel } from 'amqplib';
import { BrokerRefusal } from '../../src/broker/management/management.ts';
import { systemSleep } from '../../src/util/clock.ts';
import { createDeleteFromBroker, type DeleteFromBroker } from '../../src/queues/delete-from-broker.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { type BrokerFixture, openBrokerFixture } from '../support/broker-fixture.ts';
import { manage, openConnection, sharedBroker, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';
import { waitUntil } from '../support/watched-installation.ts';

const { signal } = new AbortController();

describe('the deletion of a queue from the broker', function () {
  this.timeout(60_000);
  useSharedBroker();
  let room: BrokerFixture;
  let deleteFromBroker: DeleteFromBroker;
  let account: string;
  let closed: { namespace: string; account: string }[];
  beforeEach(async () => {
    room = await openBrokerFixture();
    closed = [];
    const usernamePrefix = unique('team');
    account = `${usernamePrefix}taskcluster-x-2`;
    deleteFromBroker = createDeleteFromBroker({
      management: room.management,
      config: { vhost: room.vhost, usernamePrefix },
      reporters: { connectionClosed: (connection) => void closed.push(connection) },
      sleep: systemSleep,
    });
  });

  /** Adds a RabbitMQ user with every right in the vhost; returns its connection string. */
  const addUser = async (user: string): Promise<string> => {
    const broker = await sharedBroker();
    await manage(broker, 'PUT', `/users/${user}`, { password: 'password', tags: '' });
    addCleanup(async () => void (await manage(broker, 'DELETE', `/users/${user}`)));
    const everything = { configure: '.*', write: '.*', read: '.*' };
    await manage(broker, 'PUT', `/permissions/${encodeURIComponent(room.vhost)}/${user}`, everything);
    const url = new URL(room.amqpUrl);
    url.username = user;
    url.password = 'password';
    return url.href;
  };

  /** Declares an exclusive queue, and waits until RabbitMQ names its connection. */
  const declareExclusive = async (url: string): Promise<ChannelModel> => {
    const connection = await openConnection(url);
    await (await connection.createChannel()).assertQueue('exclusive', { exclusive: true });
    await waitUntil(
      async () => (await room.management.getQueueOwner(room.vhost, 'exclusive')) !== undefined,
      'the owner of the queue',
    );
    return connection;
  };

  it('is one call, and returns whether the queue existed', async () => {
    await (await (await openConnection(room.amqpUrl)).createChannel()).assertQueue('ordinary');
    assert.equal(await room.management.getQueueOwner(room.vhost, 'ordinary'), undefined);
    assert.equal(await deleteFromBroker('taskcluster-x', 'ordinary', { signal }), true);
    assert.equal(await deleteFromBroker('taskcluster-x', 'ordinary', { signal }), false);
    assert.deepEqual(closed, []);
  });

  it('fails where RabbitMQ lists the queue and answers 404, because its node is down', async () => {
    await (await (await openConnection(room.amqpUrl)).createChannel()).assertQueue('down');
    const onDownNode = createDeleteFromBroker({
      management: { ...room.management, deleteQueue: async () => false },
      config: { vhost: room.vhost, usernamePrefix: 'team' },
      reporters: { connectionClosed: () => undefined },
      sleep: systemSleep,
    });
    await assert.rejects(onDownNode('taskcluster-x', 'down', { signal }), (error) =>
      isAgentError(error, 'BrokerUnavailable'),
    );
  });

  it('closes the connection that declared an exclusive queue, where it is the namespace’s', async () => {
    const url = await addUser(account);
    const other = await openConnection(url);
    const connection = await declareExclusive(url);
    const ended = once(connection, 'close');
    assert.equal(await deleteFromBroker('taskcluster-x', 'exclusive', { signal }), true);
    await ended;
    assert.equal(await room.management.getQueue(room.vhost, 'exclusive'), undefined);
    assert.deepEqual(
      closed.map((one) => [one.namespace, one.account]),
      [['taskcluster-x', account]],
    );
    await other.createChannel();
  });

  it('is refused where another user declared the exclusive queue, and leaves that connection open', async () => {
    const connection = await declareExclusive(await addUser(unique('stranger')));
    await assert.rejects(deleteFromBroker('taskcluster-x', 'exclusive', { signal }), BrokerRefusal);
    assert.deepEqual(closed, []);
    await (await connection.createChannel()).checkQueue('exclusive');
  });
});
