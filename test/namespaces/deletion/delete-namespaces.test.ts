import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import * as amqp from 'amqplib';
import { AgentError } from '../../../src/util/agent-errors.ts';
import { fenceMs, settlementMs } from '../../../src/namespaces/timing.ts';
import { BROKER_START_MS, manage, openConnection, sharedBroker } from '../../support/broker.ts';
import { teamNamespace } from '../../support/agent.ts';
import { objectsOf, openAndAwaitClose, declareObjects } from '../../support/namespace-lifecycle.ts';
import { crashQueue } from '../../support/queue-faults.ts';
import { makeNamespaceRoom, type NamespaceAgent, type NamespaceRoom } from '../../support/namespace-room.ts';
import { concurrentTests } from '../../support/concurrent-tests.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);

/** F is one second, and the pause before a name may be used again three. */
const SETTINGS = { rotationIntervalSeconds: 8 };
const INTERVALS = { rotationMs: 8000, defaultLifetimeMs: 0, maxLifetimeMs: 0, handshakeMs: 1000 };

/** Of this many some outlived the deletion of their user. */
const CONNECTIONS = 242;

const DESTRUCTIVE = [
  'management.deleteUser',
  'management.deleteUser 2',
  'management.closeUserConnections',
  'management.deleteQueue',
  'management.deleteQueue 2',
  'management.deleteExchange',
  'namespaces.replace',
] as const;

describe('the deletion of namespaces', function () {
  this.timeout(90_000);

  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  /** Makes the namespace `expiring`, as a release does. */
  const release = (room: NamespaceRoom, namespace: string): void => {
    const record = room.store.peek(namespace) ?? assert.fail();
    const deletionReason = 'released' as const;
    const expiresMs = Date.now() - 60_000;
    room.store.put({ ...record, revision: record.revision + 1, state: 'expiring', deletionReason, expiresMs });
  };

  /** An expiring namespace with queues and an exchange. */
  const expiringNamespace = async (
    room: NamespaceRoom,
    agent: NamespaceAgent,
    namespace = teamNamespace(),
  ): Promise<string> => {
    const { connectionString } = await agent.claim(namespace);
    await declareObjects((await openAndAwaitClose(connectionString)).connection, namespace);
    release(room, namespace);
    return namespace;
  };

  const failing = (agents: readonly NamespaceAgent[]) =>
    agents.flatMap(({ events }) => events.filter(({ type }) => type === 'namespace.failing'));

  it('by three agents concurrently is reported once, and as a failure by none', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const agents = [room.addAgent(), room.addAgent(), room.addAgent()];
    const names = await Promise.all(
      Array.from({ length: 4 }, () => expiringNamespace(room, agents[0] ?? assert.fail())),
    );
    await Promise.all(agents.map((agent) => agent.delete(names, never)));
    for (const namespace of names) {
      assert.equal(room.store.peek(namespace)?.state, 'deleted');
      assert.deepEqual(await objectsOf(room, namespace), []);
    }
    const expired = agents.flatMap(({ events }) => events.filter(({ type }) => type === 'namespace.expired'));
    assert.deepEqual(expired.map(({ data }) => String(data['namespace'])).toSorted(), names.toSorted());
    assert.deepEqual(
      failing(agents),
      [],
      agents.flatMap(({ log }) => log.filter((line) => line.includes('failed'))).join(''),
    );
  });

  it('that always fails stops no other, is tried again after growing pauses, and is reported', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const agent = room.addAgent();
    const broken = await expiringNamespace(room, agent);
    const fine = [await expiringNamespace(room, agent), await expiringNamespace(room, agent)];
    // Only its connection may delete an exclusive queue.
    const holder = await openConnection(room.vhost.amqpUrl);
    await (await holder.createChannel()).assertQueue(`queue/${broken}/held`, { exclusive: true });
    await agent.expiry.sweep(never);
    assert.deepEqual(
      fine.map((namespace) => room.store.peek(namespace)?.state),
      ['deleted', 'deleted'],
    );
    assert.equal(room.store.peek(broken)?.state, 'expiring');
    assert.deepEqual(await objectsOf(room, broken), [`queue/${broken}/held`], 'all else is deleted');
    for (let failures = 1; failures <= 2; failures += 1) {
      const reported = failing([agent]);
      assert.equal(reported.length, failures);
      const { data } = reported.at(-1) ?? assert.fail();
      assert.deepEqual([data['namespace'], data['work'], data['failures']], [broken, 'deletion', failures]);
      const pauseMs = Date.parse(String(data['retryAt'])) - Date.now();
      assert.ok(pauseMs <= 1000 * 2 ** (failures - 1));
      assert.ok(agent.log.some((line) => line.includes('namespace_work_failed') && line.includes(broken)));
      await agent.expiry.sweep(never);
      assert.equal(failing([agent]).length, failures, 'it waits before it is tried again');
      await sleep(Math.max(0, pauseMs) + 20);
      if (failures === 2) await holder.close();
      await agent.expiry.sweep(never);
    }
    assert.equal(room.store.peek(broken)?.state, 'deleted');
    assert.deepEqual(await objectsOf(room, broken), []);
  });

  it('deletes a crashed queue', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const agent = room.addAgent();
    const namespace = await expiringNamespace(room, agent);
    const queue = `queue/${namespace}/one`;
    await crashQueue(room.broker, room.config.vhost, queue);
    assert.ok((await objectsOf(room, namespace)).includes(queue));
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
    assert.deepEqual(await objectsOf(room, namespace), []);
  });

  it('waits for the node of a queue, names it in log and record, and forgets it when the node runs', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const deletions: string[] = [];
    let down: { name: string; node: string }[] = [];
    const agent = room.addAgent({
      around: async (step, call) => {
        if (step === 'management.listDownQueues') return down;
        if (step === 'management.deleteQueue') deletions.push(step);
        return down.length > 0 && step === 'management.deleteQueue' ? false : await call();
      },
    });
    const namespace = await expiringNamespace(room, agent);
    down = (await objectsOf(room, namespace))
      .filter((name) => name.startsWith('queue/'))
      .map((name) => ({ name, node: 'rabbit@b' }));
    const queue = down[0]?.name ?? assert.fail();
    await agent.delete([namespace], never);
    assert.equal(deletions.length, down.length, 'each is tried once');
    const failed = agent.log.find((line) => line.includes('namespace_work_failed')) ?? assert.fail();
    assert.match(failed, new RegExp(`its queue ${queue} is on node rabbit@b, which is down`));
    assert.deepEqual(room.store.peek(namespace)?.deletionBlock, { queue, node: 'rabbit@b' });
    await assert.rejects(agent.claim(namespace), {
      code: 'RequestConflict',
      retryable: true,
      message: new RegExp(`its queue ${queue} is on node rabbit@b, which is down`),
    });
    down = [];
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
    assert.equal(room.store.peek(namespace)?.deletionBlock, undefined);
  });

  it('is no longer said to wait for a node when it fails for another reason', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const agent = room.addAgent();
    const namespace = await expiringNamespace(room, agent);
    const record = room.store.peek(namespace) ?? assert.fail();
    room.store.put({
      ...record,
      revision: record.revision + 1,
      deletionBlock: { queue: `queue/${namespace}/one`, node: 'rabbit@b' },
    });
    const holder = await openConnection(room.vhost.amqpUrl);
    await (await holder.createChannel()).assertQueue(`queue/${namespace}/held`, { exclusive: true });
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'expiring');
    assert.equal(room.store.peek(namespace)?.deletionBlock, undefined);
  });

  it('that finds a queue listed which answers 404, with all nodes up, blames no user for it', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    let isDown = true;
    const agent = room.addAgent({
      around: async (step, call) => (isDown && step === 'management.deleteQueue' ? false : await call()),
    });
    const namespace = await expiringNamespace(room, agent);
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'expiring');
    const failed = agent.log.find((line) => line.includes('namespace_work_failed')) ?? assert.fail();
    assert.match(failed, new RegExp(`lists queue/${namespace}/`));
    isDown = false;
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
  });

  it('stops immediately when the broker fails every call, and continues when it is back', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    let calls = 0;
    let down = false;
    const agent = room.addAgent({
      async around(step, call) {
        if (!down || step !== 'management.deleteQueue') return await call();
        calls += 1;
        throw new AgentError('BrokerUnavailable', 'By a test.');
      },
      config: { managementConcurrency: 4 },
    });
    const namespace = await expiringNamespace(room, agent);
    const vhost = encodeURIComponent(room.config.vhost);
    for (let n = 0; n < 40; n += 1) {
      await manage(room.broker, 'PUT', `/queues/${vhost}/${encodeURIComponent(`queue/${namespace}/${n}`)}`, {});
    }
    down = true;
    await agent.delete([namespace], never);
    assert.ok(calls <= 8, `${calls} calls`);
    assert.equal(failing([agent]).length, 1);
    down = false;
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
    assert.deepEqual(await objectsOf(room, namespace), []);
  });

  it('does not wait for a slow listing of connections before it deletes the accounts, and reports them all the same', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const deleted = new AbortController();
    let wasDeleted = false;
    const agent = room.addAgent({
      async around(step, call) {
        const answer = await call();
        if (step === 'management.deleteUser') deleted.abort();
        if (step === 'management.listUserConnections') {
          await Promise.race([until(deleted.signal), sleep(5000)]);
          wasDeleted = deleted.signal.aborted;
        }
        return answer;
      },
    });
    const namespace = teamNamespace();
    const { connection, closed } = await openAndAwaitClose((await agent.claim(namespace)).connectionString);
    await declareObjects(connection, namespace);
    release(room, namespace);
    await agent.delete([namespace], never);
    assert.ok(wasDeleted);
    await closed;
    const reported = agent.events.filter(({ type }) => type === 'connection.closed');
    assert.deepEqual(
      reported.map(({ data }) => [data['namespace'], data['reason']]),
      [[namespace, 'released']],
    );
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
  });

  it('continues when its agent was suspended before the check for late connections', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    let listings = 0;
    const agent = room.addAgent({
      async around(step, call) {
        // The first listing, of both accounts, is for the report of what is about to be closed.
        if (step === 'management.listUserConnections' && (listings += 1) === 3) await sleep(fenceMs(INTERVALS) + 50);
        return await call();
      },
    });
    const namespace = await expiringNamespace(room, agent);
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
    assert.ok(!agent.events.some(({ type }) => type === 'namespace.failing'));
  });

  it('of many namespaces closes the late connections of the accounts that have some', async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const namespaces = Array.from({ length: 9 }, () => teamNamespace());
    const user = `${room.config.usernamePrefix}${namespaces[4]}-1`;
    const steps: string[] = [];
    const agent = room.addAgent({
      async around(step, call) {
        steps.push(step);
        const answer = await call();
        const listings = steps.filter((name) => name === 'management.listOpenConnections').length;
        // The first listing is for the report of what is about to be closed.
        return step === 'management.listOpenConnections' && listings === 2 ? [{ name: 'late', user }] : answer;
      },
    });
    for (const namespace of namespaces) {
      await agent.claim(namespace);
      release(room, namespace);
    }
    steps.splice(0);
    await agent.delete(namespaces, never);
    const closing = steps.filter((step) => /user.?connections/i.test(step));
    // Until two listings in a row show none, for one account.
    assert.deepEqual(closing, [
      'management.listUserConnections',
      'management.closeUserConnections',
      'management.listUserConnections',
    ]);
    for (const namespace of namespaces) assert.equal(room.store.peek(namespace)?.state, 'deleted');
  });

  concurrentTests((it) => {
    for (const step of DESTRUCTIVE) {
      it(`that is suspended before ${step} touches nothing of the next incarnation`, async () => {
        const room = await makeNamespaceRoom(SETTINGS);
        const counts = new Map<string, number>();
        const standing = new AbortController();
        const resumed = new AbortController();
        const late: { connection?: ChannelModel } = {};
        let namespace = '';
        const stalled = room.addAgent({
          async around(name, call) {
            const count = (counts.get(name) ?? 0) + 1;
            counts.set(name, count);
            if ((count === 1 ? name : `${name} ${count}`) === step) {
              standing.abort();
              await until(resumed.signal);
            }
            // A connection that logged in late, so that there is something to close.
            if (name === 'management.listUserConnections' && step.includes('close') && (counts.get(name) ?? 0) <= 4) {
              return [{ name: 'late', user: `${room.config.usernamePrefix}${namespace}-1` }];
            }
            return await call();
          },
        });
        const other = room.addAgent();
        namespace = await expiringNamespace(room, other);
        const ending = stalled.delete([namespace], never);
        await until(standing.signal);
        await other.delete([namespace], never);
        assert.equal(room.store.peek(namespace)?.state, 'deleted');
        await sleep(settlementMs(INTERVALS) + 50);
        const { connectionString } = await other.claim(namespace);
        late.connection = await openConnection(connectionString);
        await declareObjects(late.connection, namespace);
        const before = { left: await objectsOf(room, namespace), record: room.store.peek(namespace) };
        assert.equal(before.left.length, 4);
        resumed.abort();
        await ending;
        await sleep(fenceMs(INTERVALS));
        assert.deepEqual({ left: await objectsOf(room, namespace), record: room.store.peek(namespace) }, before);
        await (await late.connection.createChannel()).checkQueue(`queue/${namespace}/one`);
        assert.deepEqual(failing([stalled]), [], 'that another was faster is no failure');
      });
    }
  });

  it(`leaves none of ${CONNECTIONS} connections that open at the same time`, async () => {
    const room = await makeNamespaceRoom(SETTINGS);
    const agent = room.addAgent();
    const namespace = teamNamespace();
    const { connectionString } = await agent.claim(namespace);
    release(room, namespace);
    const opening = Promise.allSettled(
      Array.from({ length: CONNECTIONS }, async () => {
        const connection = await amqp.connect(connectionString);
        connection.on('error', () => undefined);
        return connection;
      }),
    );
    await agent.delete([namespace], never);
    assert.equal(room.store.peek(namespace)?.state, 'deleted');
    const user = `${room.config.usernamePrefix}${namespace}-1`;
    const { body } = await manage(room.broker, 'GET', `/connections/username/${user}`, undefined, [404]);
    assert.ok(!Array.isArray(body) || body.length === 0);
    // By use: amqplib emits no event for a close that arrives together with the answer to the opening.
    const used = await Promise.allSettled(
      (await opening).map(async (opened) => {
        if (opened.status === 'fulfilled') return await opened.value.createChannel();
        throw opened.reason;
      }),
    );
    assert.equal(used.filter(({ status }) => status === 'fulfilled').length, 0);
  });
});

async function until(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
