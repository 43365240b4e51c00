import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { BrokerRefusal, createManagement, HASHING_ALGORITHM } from '../../../src/broker/management/management.ts';
import { hashPassword } from '../../../src/broker/password-hash.ts';
import { Secret } from '../../../src/util/secret.ts';
import { type BrokerFixture, openBrokerFixture } from '../../support/broker-fixture.ts';
import { openConnection, untilKnown, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { unique } from '../../support/folders.ts';
import { crashQueue, setQuorumQueue } from '../../support/queue-faults.ts';
import { waitUntil } from '../../support/watched-installation.ts';

describe('management API', () => {
  const broker = useSharedBroker();
  let room: BrokerFixture;
  beforeEach(async () => {
    room = await openBrokerFixture();
  });

  const makeUser = async (password: Secret): Promise<string> => {
    const name = unique('user/a b');
    const passwordHash = hashPassword(password, randomBytes(4));
    addCleanup(() => room.management.deleteUser(name).then(() => undefined));
    const outcome = await room.management.putUser(name, {
      passwordHash,
      hashingAlgorithm: HASHING_ALGORITHM,
      tags: [],
    });
    assert.equal(outcome, 'created');
    return name;
  };

  it('returns the user, the broker and its nodes', async () => {
    const { management } = room;
    assert.deepEqual(await management.whoAmI(), { name: room.user, tags: ['administrator'] });
    const { erlangVersion, rabbitmqVersion } = await management.overview();
    assert.match(rabbitmqVersion, /^\d+\.\d+/);
    assert.match(erlangVersion, /^\d+/);
    const [node, ...others] = await management.listNodes();
    assert.deepEqual([node?.name, node?.running, others], [broker().nodeName, true, []]);
    // Right after its start a node has no statistics.
    assert.ok(node?.partitions === undefined || node.partitions.length === 0);
  });

  it('creates, reads, changes and deletes a user, with a password hashed by the agent', async () => {
    const { management, vhost } = room;
    const name = await makeUser(new Secret('first'));
    const passwordHash = hashPassword(new Secret('second'), randomBytes(4));
    const user = { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: ['policymaker'] };
    assert.equal(await management.putUser(name, user), 'updated');
    assert.deepEqual(await management.getUser(name), { name, ...user });
    assert.ok((await management.listUsers()).some((listed) => listed.name === name));

    assert.equal(await management.getPermissions(vhost, name), undefined);
    const permissions = { configure: '^$', write: '^a$', read: '.*' };
    assert.equal(await management.putPermissions(vhost, name, permissions), 'created');
    assert.deepEqual(await management.getPermissions(vhost, name), permissions);
    const url = new URL(room.amqpUrl);
    url.username = encodeURIComponent(name);
    url.password = 'second';
    const connection = await openConnection(url.href);

    const closed = once(connection, 'close');
    assert.equal(await management.deleteUser(name), true);
    await closed;
    assert.equal(await management.deleteUser(name), false);
    assert.equal(await management.getUser(name), undefined);
  });

  it('rejects with the error of a visitor of a listing', async () => {
    const { management } = room;
    const [fault, seen] = [new TypeError('a bug'), [] as string[]];
    const visit = ({ user }: { readonly user: string }): void => {
      seen.push(user);
      throw fault;
    };
    await assert.rejects(management.visitPermissions(visit), (error) => error === fault);
    assert.equal(seen.length, 1);
  });

  it('creates a user concurrently with other callers', async () => {
    const { management } = room;
    for (let round = 0; round < 20; round += 1) {
      const name = unique('user');
      addCleanup(async () => void (await management.deleteUser(name)));
      const passwordHash = hashPassword(new Secret('same'), randomBytes(4));
      const user = { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: [] };
      const outcomes = await Promise.all(Array.from({ length: 16 }, () => management.putUser(name, user)));
      assert.ok(outcomes.includes('created'));
    }
  });

  it('sets, reads and deletes the limits of a user', async () => {
    const { management } = room;
    const name = await makeUser(new Secret('x'));
    assert.deepEqual(await management.getUserLimits(name), {});
    await management.putUserLimit(name, 'max-connections', 2);
    await management.putUserLimit(name, 'max-channels', 5);
    assert.deepEqual(await management.getUserLimits(name), { 'max-connections': 2, 'max-channels': 5 });
    assert.equal(await management.deleteUserLimit(name, 'max-channels'), true);
    assert.deepEqual(await management.getUserLimits(name), { 'max-connections': 2 });
  });

  it('loses no limit when several are set at the same time', async () => {
    const { management } = room;
    for (let round = 0; round < 20; round += 1) {
      const name = await makeUser(new Secret('x'));
      await Promise.all([
        management.putUserLimit(name, 'max-connections', 2),
        management.putUserLimit(name, 'max-channels', 5),
        management.putPermissions(room.vhost, name, { configure: '', write: '', read: '' }),
      ]);
      assert.deepEqual(await management.getUserLimits(name), { 'max-connections': 2, 'max-channels': 5 });
    }
  });

  it('lists the open connections of all users without delay', async () => {
    const count = async (): Promise<number> =>
      (await room.management.listOpenConnections()).filter(({ user }) => user === room.user).length;
    const before = await count();
    const connection = await openConnection(room.amqpUrl);
    // The age is one of the statistics, which lag by five seconds.
    const deadline = Date.now() + 2000;
    while ((await count()) === before) assert.ok(Date.now() < deadline, 'It is not listed.');
    await connection.close();
    while ((await count()) > before) assert.ok(Date.now() < deadline, 'It is listed still.');
  });

  it("closes a user's connections with a reason", async () => {
    const connection = await openConnection(room.amqpUrl);
    const closed = once(connection, 'close');
    await untilKnown(connection, () => room.management.listUserConnections(room.user));
    await room.management.closeUserConnections(room.user, 'because of the test');
    const [reason]: unknown[] = await closed;
    assert.match(String(reason), /because of the test/);
    await room.management.closeUserConnections(unique('missing'), 'nothing to do');
  });

  it('writes, lists and deletes policies', async () => {
    const { management, vhost } = room;
    const policy = { pattern: '^x$', applyTo: 'queues', definition: { 'max-length': 3 }, priority: 7 };
    assert.equal(await management.putPolicy(vhost, 'a/b', policy), 'created');
    assert.equal(await management.putPolicy(vhost, 'a/b', policy), 'updated');
    assert.deepEqual(await management.listPolicies(vhost), [{ name: 'a/b', ...policy }]);
    assert.equal(await management.deletePolicy(vhost, 'a/b'), true);
    assert.equal(await management.deletePolicy(vhost, 'a/b'), false);
  });

  it('writes, reads and deletes global parameters', async () => {
    const { management } = room;
    const name = unique('pulse-agent.test');
    addCleanup(() => management.deleteGlobalParameter(name).then(() => undefined));
    assert.equal(await management.getGlobalParameter(name), undefined);
    assert.equal(await management.putGlobalParameter(name, { storeId: 'a' }), 'created');
    assert.deepEqual(await management.getGlobalParameter(name), { storeId: 'a' });
    assert.equal(await management.deleteGlobalParameter(name), true);
    assert.equal(await management.deleteGlobalParameter(name), false);
  });

  it('lists and deletes queues, exchanges and bindings of any name', async () => {
    const { management, vhost } = room;
    const channel = await (await openConnection(room.amqpUrl)).createConfirmChannel();
    const names = ['queue/a b/ü', 'exchange/%2F#?', 'exchange/from', 'key #/.%~ ü'] as const;
    const [queue, exchange, source, key] = names;
    await channel.assertQueue(queue);
    await channel.assertExchange(exchange, 'topic');
    await channel.assertExchange(source, 'topic');
    await channel.bindQueue(queue, exchange, key);
    await channel.bindExchange(exchange, source, 'key #', { 'x-some': 'argument' });
    channel.publish(exchange, key, Buffer.from('1'));
    await channel.waitForConfirms();

    assert.deepEqual(await management.listQueues(vhost), [{ name: queue, messages: 1 }]);
    const exchanges = (await management.listExchanges(vhost)).filter(({ name }) => name.startsWith('exchange/'));
    assert.deepEqual(exchanges, [
      { name: exchange, type: 'topic' },
      { name: source, type: 'topic' },
    ]);
    const into = await management.listBindingsInto(vhost, exchange);
    assert.deepEqual(
      into.map((binding) => [binding.source, binding.destination, binding.destinationType, binding.routingKey]),
      [[source, exchange, 'exchange', 'key #']],
    );
    const bindings = await management.listBindings(vhost);
    assert.equal(bindings.length, 2);
    for (const binding of bindings) {
      assert.equal(await management.deleteBinding(vhost, binding), true);
      assert.equal(await management.deleteBinding(vhost, binding), false);
    }
    assert.deepEqual(await management.listBindings(vhost), []);

    assert.equal(await management.deleteQueue(vhost, queue), true);
    assert.equal(await management.deleteQueue(vhost, queue), false);
    assert.equal(await management.deleteExchange(vhost, exchange), true);
    assert.equal(await management.deleteExchange(vhost, exchange), false);
  });

  it('has no depth, not 0, for a stream', async () => {
    const channel = await (await openConnection(room.amqpUrl)).createChannel();
    await channel.assertQueue('a-stream', { arguments: { 'x-queue-type': 'stream' } });
    assert.deepEqual(await room.management.listQueues(room.vhost), [{ name: 'a-stream' }]);
  });

  it('has the size of classic and quorum queues some seconds later, and none, not 0, for a stream', async () => {
    const { management, vhost } = room;
    const channel = await (await openConnection(room.amqpUrl)).createConfirmChannel();
    for (const type of ['classic', 'quorum', 'stream']) {
      await channel.assertQueue(type, { arguments: { 'x-queue-type': type } });
      for (let sent = 0; sent < 3; sent += 1)
        channel.sendToQueue(type, Buffer.alloc(1000), { headers: { not: 'counted' } });
    }
    await channel.waitForConfirms();
    const sizes = async () => (await management.listQueueBytes(vhost)).filter(({ bytes }) => bytes > 0);
    await waitUntil(async () => (await sizes()).length === 2, 'the statistics of two queues');
    const expected = ['classic', 'quorum'].map((name) => ({ name, bytes: 3000, messages: 3, consumers: 0 }));
    assert.deepEqual(await sizes(), expected);
    const single = ['classic', 'quorum', 'stream', 'missing'].map((name) => management.getQueueBytes(vhost, name));
    assert.deepEqual(await Promise.all(single), [...expected, undefined, undefined]);
  });

  it('finds the queues whose names begin alike, with their depths and statistics', async () => {
    const { management, vhost } = room;
    const channel = await (await openConnection(room.amqpUrl)).createConfirmChannel();
    for (const name of ['a.b/1', 'a.b/2', 'axb/3', 'A.B/4', 'x/a.b/5']) await channel.assertQueue(name);
    await channel.assertQueue('a.b/stream', { arguments: { 'x-queue-type': 'stream' } });
    for (let sent = 0; sent < 3; sent += 1) channel.sendToQueue('a.b/2', Buffer.alloc(1000));
    await channel.waitForConfirms();
    await channel.prefetch(1);
    await channel.consume('a.b/2', () => undefined);
    const find = async () => await management.findQueues(vhost, 'a.b/');
    await waitUntil(async () => (await find()).queues.some(({ ready }) => ready === 2), 'a message is delivered');
    assert.deepEqual(await find(), {
      queues: [
        { name: 'a.b/1', messages: 0, ready: 0, unacknowledged: 0 },
        { name: 'a.b/2', messages: 3, ready: 2, unacknowledged: 1 },
        { name: 'a.b/stream' },
      ],
      isComplete: true,
    });
    const statistics = async () => (await management.findQueueStatistics(vhost, 'a.b/')).queues;
    const isCollected = async (): Promise<boolean> => {
      const [, found] = await statistics();
      return found?.consumers === 1 && found.messages === 3;
    };
    await waitUntil(isCollected, 'the statistics of a queue');
    assert.deepEqual((await statistics())[1], { name: 'a.b/2', messages: 3, bytes: 3000, consumers: 1 });
    assert.deepEqual(await management.findQueues(vhost, 'nothing'), { queues: [], isComplete: true });
    const depths = new Map<string, unknown>();
    await management.visitQueueDepths(vhost, ({ name, ...depth }) => void depths.set(name, depth));
    assert.deepEqual([...depths.keys()].toSorted(), ['A.B/4', 'a.b/1', 'a.b/2', 'a.b/stream', 'axb/3', 'x/a.b/5']);
    assert.deepEqual(depths.get('a.b/2'), { messages: 3, ready: 2, unacknowledged: 1 });
    assert.deepEqual(depths.get('a.b/stream'), {});
    const counted = new Map<string, unknown>();
    await management.visitQueueStatistics(vhost, ({ name, ...counts }) => void counted.set(name, counts));
    assert.deepEqual(counted.get('a.b/2'), { messages: 3, bytes: 3000, consumers: 1 });
  });

  it('has no depth for a quorum queue that is down, although RabbitMQ returns one', async () => {
    const { management, vhost } = room;
    const channel = await (await openConnection(room.amqpUrl)).createConfirmChannel();
    await channel.assertQueue('quorum', { arguments: { 'x-queue-type': 'quorum' } });
    channel.sendToQueue('quorum', Buffer.from('1'));
    await channel.waitForConfirms();
    assert.equal(typeof (await management.listQueues(vhost))[0]?.messages, 'number');
    await setQuorumQueue(broker(), vhost, 'quorum', 'down');
    assert.deepEqual(await management.listQueues(vhost), [{ name: 'quorum' }]);
    await setQuorumQueue(broker(), vhost, 'quorum', 'up');
    assert.equal(typeof (await management.listQueues(vhost))[0]?.messages, 'number');
  });

  it('lists the name of a crashed queue, which a listing with depths omits', async () => {
    const { management, vhost } = room;
    await (await (await openConnection(room.amqpUrl)).createChannel()).assertQueue('crashed');
    await crashQueue(broker(), vhost, 'crashed');
    assert.deepEqual(await management.listQueues(vhost), []);
    assert.deepEqual(await management.listQueueNames(vhost), ['crashed']);
    assert.equal(await management.deleteQueue(vhost, 'crashed'), true);
    assert.deepEqual(await management.listQueueNames(vhost), []);
  });

  it('rejects for a vhost that does not exist', async () => {
    await assert.rejects(room.management.listQueues('no such vhost'), BrokerRefusal);
  });

  it('names what to check when the credentials are wrong', async () => {
    const { origin } = new URL(room.managementUrl);
    const stranger = createManagement({
      url: origin,
      username: room.user,
      password: new Secret('no'),
      timeoutMs: 5000,
    });
    addCleanup(() => stranger.close());
    await assert.rejects(stranger.whoAmI(), (error) => {
      assert.ok(error instanceof BrokerRefusal);
      assert.equal(error.status, 401);
      assert.match(error.message, /Check the credentials/);
      return true;
    });
  });
});
