import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ChannelModel } from 'amqplib';
import { BrokerRefusal } from '../../src/broker/management/management.ts';
import { systemSleep } from '../../src/util/clock.ts';
import { type ClosedHolder, createRemoveQueue, type RemoveQueue } from '../../src/queues/remove-queue.ts';
import { type AgentRoom, openAgentRoom } from '../support/agent-room.ts';
import { createVhost, manage, openConnection, sharedBroker, useSharedBroker } from '../support/broker.ts';
import { until } from '../support/watched.ts';

const { signal } = new AbortController();

describe('the removal of a queue', function () {
  this.timeout(60_000);
  useSharedBroker();
  let room: AgentRoom;
  let remove: RemoveQueue;
  let closed: ClosedHolder[];
  beforeEach(async () => {
    room = await openAgentRoom();
    closed = [];
    remove = createRemoveQueue({
      management: room.management,
      vhost: room.vhost,
      // As if the room's administrator was an account.
      accountsOf: () => ['nobody', room.user],
      onClosed: (holder) => closed.push(holder),
      sleep: systemSleep,
    });
  });

  /** Declares a queue over a connection that alone may use it, and waits until RabbitMQ tells whose it is. */
  const declareExclusive = async (url: string): Promise<ChannelModel> => {
    const connection = await openConnection(url);
    await (await connection.createChannel()).assertQueue('exclusive', { exclusive: true });
    await until(
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
    const other = await openConnection(room.amqpUrl);
    const connection = await declareExclusive(room.amqpUrl);
    const ended = once(connection, 'close');
    assert.equal(await remove('taskcluster-x', 'exclusive', { signal }), true);
    await ended;
    assert.equal(await room.management.getQueue(room.vhost, 'exclusive'), undefined);
    assert.deepEqual(
      closed.map(({ namespace, account }) => [namespace, account]),
      [['taskcluster-x', room.user]],
    );
    await other.createChannel();
  });

  it('is refused where a stranger holds it, whose connection stays', async () => {
    const stranger = await createVhost();
    const everything = { configure: '.*', write: '.*', read: '.*' };
    const path = `/permissions/${encodeURIComponent(room.vhost)}/${stranger.user}`;
    await manage(await sharedBroker(), 'PUT', path, everything);
    const url = new URL(room.amqpUrl);
    url.username = stranger.user;
    url.password = stranger.password;
    const connection = await declareExclusive(url.href);
    await assert.rejects(remove('taskcluster-x', 'exclusive', { signal }), BrokerRefusal);
    assert.deepEqual(closed, []);
    await (await connection.createChannel()).checkQueue('exclusive');
  });
});
