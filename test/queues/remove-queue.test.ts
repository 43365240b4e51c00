import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ChannelModel } from 'amqplib';
import { BrokerRefusal } from '../../src/broker/management/management.ts';
import { systemSleep } from '../../src/util/clock.ts';
import { createRemoveQueue, type RemoveQueue } from '../../src/queues/remove-queue.ts';
import { type BrokerFixture, openBrokerFixture } from '../support/broker-fixture.ts';
import { manage, openConnection, sharedBroker, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';
import { waitUntil } from '../support/watched-installation.ts';

const { signal } = new AbortController();

describe('the removal of a queue', function () {
  this.timeout(60_000);
  useSharedBroker();
  let room: BrokerFixture;
  let remove: RemoveQueue;
  let account: string;
  let closed: { namespace: string; account: string }[];
  beforeEach(async () => {
    room = await openBrokerFixture();
    closed = [];
    const usernamePrefix = unique('team');
    account = `${usernamePrefix}taskcluster-x-2`;
    remove = createRemoveQueue({
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

  /** Declares a queue over a connection that alone may use it, and waits until RabbitMQ tells whose it is. */
  const declareExclusive = async (url: string): Promise<ChannelModel> => {
    const connection = await openConnection(url);
    await (await connection.createChannel()).assertQueue('exclusive', { exclusive: true });
    await waitUntil(
      async () => (await room.management.getQueueOwner(room.vhost, 'exclusive')) !== undefined,
      'the owner of the queue',
    );
    return connection;
  };

  it('is a call, and says whether there was one', async () => {
    await (await (await openConnection(room.amqpUrl)).createChannel()).assertQueue('ordinary');
    assert.equal(await room.management.getQueueOwner(room.vhost, 'ordinary'), undefined);
    assert.equal(await remove('taskcluster-x', 'ordinary', { signal }), true);
    assert.equal(await remove('taskcluster-x', 'ordinary', { signal }), false);
    assert.deepEqual(closed, []);
  });

  it('is the end of the one connection that may use it, where that is the namespace’s', async () => {
    const url = await addUser(account);
    const other = await openConnection(url);
    const connection = await declareExclusive(url);
    const ended = once(connection, 'close');
    assert.equal(await remove('taskcluster-x', 'exclusive', { signal }), true);
    await ended;
    assert.equal(await room.management.getQueue(room.vhost, 'exclusive'), undefined);
    assert.deepEqual(
      closed.map((one) => [one.namespace, one.account]),
      [['taskcluster-x', account]],
    );
    await other.createChannel();
  });

  it('is refused where a stranger holds it, whose connection stays', async () => {
    const connection = await declareExclusive(await addUser(unique('stranger')));
    await assert.rejects(remove('taskcluster-x', 'exclusive', { signal }), BrokerRefusal);
    assert.deepEqual(closed, []);
    await (await connection.createChannel()).checkQueue('exclusive');
  });
});
