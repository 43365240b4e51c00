import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type BackstopSettings, ensureBackstop } from '../../src/broker/backstop.ts';
import { createManagement } from '../../src/broker/management/management.ts';
import { Secret } from '../../src/util/secret.ts';
import { createVhost, openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';

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
    exemptQueues: [],
    reservedNamespaces: [],
  };
  return {
    management,
    settings,
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
});
