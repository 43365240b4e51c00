import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type BackstopSettings, backstopPolicies, ensureBackstop } from '../../src/broker/backstop.ts';
import { createManagement } from '../../src/broker/management/management.ts';
import { Secret } from '../../src/util/secret.ts';
import { createVhost, openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { waitUntil } from '../support/watched-installation.ts';

const MAX_MESSAGES = 100;

async function site() {
  const { vhost, user, password, amqpUrl, managementUrl } = await createVhost();
  const url = new URL(managementUrl).origin;
  const management = createManagement({ url, username: user, password: new Secret(password), timeoutMs: 30_000 });
  addCleanup(() => management.close());
  const channel = await (await openConnection(amqpUrl)).createConfirmChannel();
  const settings: BackstopSettings = {
    id: 'pulse-agent',
    vhost,
    namespacePrefix: 'taskcluster-',
    maxMessages: MAX_MESSAGES,
    maxBytes: null,
    streamMaxBytes: null,
    rules: [],
    exemptQueues: [],
    reservedNamespaces: [],
  };
  return {
    management,
    settings,
    channel,
    /** The depth of a queue after three times the limit was published to it. */
    filled: async (queue: string, args: object = {}): Promise<number> => {
      await channel.assertQueue(queue, { durable: true, arguments: args });
      for (let sent = 0; sent < 3 * MAX_MESSAGES; sent += 1) {
        if (!channel.sendToQueue(queue, Buffer.from('x'))) await once(channel, 'drain');
      }
      await channel.waitForConfirms();
      return (await channel.checkQueue(queue)).messageCount;
    },
    depth: async (queue: string): Promise<number> => (await channel.checkQueue(queue)).messageCount,
  };
}

describe('the backstop', function () {
  this.timeout(60_000);
  useSharedBroker();

  it('limits the queues of namespaces without an agent, whatever their arguments, and no other queue', async () => {
    const { management, settings, filled, depth } = await site();
    const before = 'queue/taskcluster-x/before';
    assert.equal(await filled(before), 3 * MAX_MESSAGES);
    assert.equal(
      await ensureBackstop(management, {
        ...settings,
        exemptQueues: ['queue/taskcluster-x/ex.*', 'y'],
        reservedNamespaces: ['taskcluster-auth', 'taskcluster-w.*r'],
      }),
      'put',
    );
    assert.equal(await depth(before), MAX_MESSAGES);
    assert.equal(await filled('queue/taskcluster-x/classic', { 'x-max-length': 10_000 }), MAX_MESSAGES);
    assert.equal(await filled('queue/taskcluster-x/quorum', { 'x-queue-type': 'quorum' }), MAX_MESSAGES);
    assert.equal(await filled('queue/taskcluster-x/smaller', { 'x-max-length': 50 }), 50);
    for (const other of ['queue/pulse-agent/v1/requests', 'taskcluster-x', 'a/queue/taskcluster-x/b']) {
      assert.equal(await filled(other), 3 * MAX_MESSAGES, other);
    }
    for (const reserved of ['queue/taskcluster-auth/v1/a', 'queue/taskcluster-worker/q']) {
      assert.equal(await filled(reserved), 3 * MAX_MESSAGES, reserved);
    }
    for (const similar of ['queue/taskcluster-auth2/a', 'queue/taskcluster-workers/q']) {
      assert.equal(await filled(similar), MAX_MESSAGES, similar);
    }
    assert.equal(await filled('queue/taskcluster-x/exempt'), 3 * MAX_MESSAGES);
    assert.equal(await filled('queue/taskcluster-x/not-exempt'), MAX_MESSAGES);
  });

  it('is written only where it differs, and deleted where none is configured', async () => {
    const { management, settings } = await site();
    assert.equal(await ensureBackstop(management, { ...settings, maxMessages: null }), 'none');
    assert.equal(await ensureBackstop(management, settings), 'put');
    assert.equal(await ensureBackstop(management, settings), 'none');
    assert.equal(await ensureBackstop(management, { ...settings, maxMessages: 200 }), 'put');
    assert.equal(await ensureBackstop(management, { ...settings, maxMessages: null }), 'removed');
    assert.deepEqual(await management.listOperatorPolicies(settings.vhost), []);
  });

  it('limits each queue by the first rule that matches it, and forgets rules', async () => {
    const { management, settings, filled } = await site();
    const rule = (match: string, maxMessages: number | null) => ({ match, maxMessages, maxBytes: null });
    const rules = [
      rule('queue/[^/]+/small(er)?', 50),
      rule('taskcluster-free', null),
      rule('taskcluster-(x|y)|.*-logs', 200),
    ];
    assert.equal(await ensureBackstop(management, { ...settings, rules }), 'put');
    assert.equal(await ensureBackstop(management, { ...settings, rules }), 'none');
    const depths: Record<string, number> = {
      'queue/taskcluster-x/small': 50,
      'queue/taskcluster-free/small': 50,
      'queue/taskcluster-free/a': 300,
      'queue/taskcluster-y/a': 200,
      'queue/taskcluster-z-logs/a': 200,
      // The pattern is for the whole name of a namespace, not for a part of the name of a queue.
      'queue/taskcluster-z/a-logs/b': 100,
      'queue/taskcluster-x/small/other': 200,
      'queue/taskcluster-xx/a': 100,
    };
    for (const [queue, depth] of Object.entries(depths)) assert.equal(await filled(queue), depth, queue);
    assert.equal(await ensureBackstop(management, { ...settings, rules: rules.slice(0, 1) }), 'put');
    assert.deepEqual((await management.listOperatorPolicies(settings.vhost)).map(({ name }) => name).toSorted(), [
      'pulse-agent-v1-backstop',
      'pulse-agent-v1-backstop-0',
    ]);
  });

  it('limits no queue of a rule without limits by what streams may hold', async () => {
    const { management, settings, filled } = await site();
    const rules = [{ match: 'taskcluster-left', maxMessages: null, maxBytes: null }];
    await ensureBackstop(management, { ...settings, rules, streamMaxBytes: 50 });
    for (const type of ['classic', 'quorum']) {
      const depth = await filled(`queue/taskcluster-left/${type}`, { 'x-queue-type': type });
      assert.equal(depth, 3 * MAX_MESSAGES, type);
    }
    assert.equal(await filled('queue/taskcluster-x/limited'), MAX_MESSAGES);
  });

  it('caps queues by the bytes of their messages, too', async () => {
    const { management, settings, channel } = await site();
    await ensureBackstop(management, { ...settings, maxBytes: 1_000_000 });
    for (const type of ['classic', 'quorum']) {
      const queue = `queue/taskcluster-x/${type}`;
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } });
      for (let sent = 0; sent < 30; sent += 1) channel.sendToQueue(queue, Buffer.alloc(100_000));
      await channel.waitForConfirms();
      assert.equal((await channel.checkQueue(queue)).messageCount, 10, type);
    }
  });

  it('bounds streams, whatever they were declared with, and only those of namespaces', async function () {
    this.timeout(180_000);
    const { management, settings, channel } = await site();
    const fill = async (stream: string, args: object = {}): Promise<void> => {
      const small = { 'x-queue-type': 'stream', 'x-stream-max-segment-size-bytes': 500_000 };
      await channel.assertQueue(stream, { durable: true, arguments: { ...small, ...args } });
      // In small steps: RabbitMQ writes what arrives together as one chunk, which it never divides.
      for (let step = 0; step < 30; step += 1) {
        for (let sent = 0; sent < 2; sent += 1) channel.sendToQueue(stream, Buffer.alloc(100_000));
        await channel.waitForConfirms();
      }
    };
    // RabbitMQ counts the messages of a stream seconds later, and one more than there are.
    const isWhole = async (stream: string): Promise<boolean> => (await channel.checkQueue(stream)).messageCount >= 60;
    // RabbitMQ drops whole segments, and keeps the one that is written.
    const isBounded = async (stream: string): Promise<boolean> => {
      const { messageCount } = await channel.checkQueue(stream);
      return messageCount > 0 && messageCount <= 30;
    };
    const before = 'queue/taskcluster-x/before';
    await fill(before);
    await waitUntil(() => isWhole(before), 'a stream without a bound');
    await ensureBackstop(management, { ...settings, streamMaxBytes: 1_000_000, exemptQueues: ['queue/[^/]+/exempt'] });
    await waitUntil(() => isBounded(before), 'a bound for a stream that is there');
    const generous = 'queue/taskcluster-x/generous';
    await fill(generous, { 'x-max-length-bytes': 50_000_000 });
    await waitUntil(() => isBounded(generous), 'a bound for a stream that was declared with more');
    for (const other of ['queue/pulse-agent/v1/log', 'queue/taskcluster-x/exempt']) {
      await fill(other);
      await waitUntil(() => isWhole(other), other);
    }
    // The backstop of queues still holds for queues.
    const queue = 'queue/taskcluster-x/classic';
    await channel.assertQueue(queue);
    for (let sent = 0; sent < 20; sent += 1) channel.sendToQueue(queue, Buffer.alloc(100_000));
    await channel.waitForConfirms();
    assert.equal((await channel.checkQueue(queue)).messageCount, 20);
  });

  it('needs a policy for streams alone, or a key that streams do not know in the one of queues', async () => {
    const { settings } = await site();
    const named = (version: string, given: Partial<BackstopSettings>) =>
      [...backstopPolicies({ ...settings, streamMaxBytes: 500, ...given }, version)].map(([name, policy]) => [
        name,
        policy?.applyTo,
        policy?.priority,
      ]);
    assert.deepEqual(named('3.10.8', {}), [
      ['pulse-agent-v1-backstop', 'queues', 1000],
      ['pulse-agent-v1-streams', 'queues', 999],
    ]);
    for (const version of ['3.12.0', '4.0.5']) {
      assert.deepEqual(named(version, {})[1], ['pulse-agent-v1-streams', 'streams', 1001]);
      assert.deepEqual(named(version, { maxMessages: null }), [
        ['pulse-agent-v1-backstop', undefined, undefined],
        ['pulse-agent-v1-streams', 'streams', 1001],
      ]);
    }
    assert.deepEqual(named('3.11.28', { maxMessages: null, maxBytes: 900 }), [
      ['pulse-agent-v1-backstop', 'queues', 1000],
      ['pulse-agent-v1-streams', undefined, undefined],
    ]);
  });
});
