import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { type ReplyAddress, signedReplyTo, classifyReplyAddress } from '../../src/requests/reply-address.ts';

const DIRECT = 'amq.rabbitmq.reply-to.gAAAA.bbbb';

async function sort(replyTo: unknown, live = true): Promise<ReplyAddress> {
  return await classifyReplyAddress(replyTo, async () => live);
}

describe('classifyReplyAddress', () => {
  it('accepts a direct reply-to address of a running node', async () => {
    assert.deepEqual(await sort(DIRECT), { kind: 'direct', address: DIRECT });
  });

  it('refuses one of no running node, with the reason', async () => {
    const sorted = await sort(DIRECT, false);
    assert.deepEqual(sorted, {
      kind: 'refused',
      reason: 'the reply_to is a direct reply-to address that no running node wrote',
    });
  });

  it('checks everything that starts like direct reply-to, and never treats it as a queue', async () => {
    const asked: string[] = [];
    for (const address of ['amq.rabbitmq.reply-to', 'amq.rabbitmq.reply-to/queue/a/b', 'amq.rabbitmq.reply-to2']) {
      const sorted = await classifyReplyAddress(address, async (it) => {
        asked.push(it);
        return false;
      });
      assert.equal(sorted.kind, 'refused');
    }
    assert.equal(asked.length, 3);
  });

  for (const [address, namespace] of [
    ['queue/taskcluster-x/replies', 'taskcluster-x'],
    ['queue/taskcluster-x/a/b', 'taskcluster-x'],
    ['queue/taskcluster-x//', 'taskcluster-x'],
    ['queue/pulse-agent/v1/requests', 'pulse-agent'],
    [`queue/a/${'ü'.repeat(123)}`, 'a'],
  ] as const) {
    it(`accepts ${JSON.stringify(address)} as a queue of ${namespace}`, async () => {
      assert.deepEqual(await sort(address), { kind: 'queue', address, namespace });
    });
  }

  for (const address of [
    undefined,
    null,
    '',
    7,
    Buffer.from('queue/a/b'),
    { toString: () => 'queue/a/b' },
    'queue',
    'queue/',
    'queue/taskcluster-x',
    'queue/taskcluster-x/',
    'queue//x',
    'queue/a b/x',
    'queue/a.b/x',
    'queue/a\n/x',
    ' queue/a/b',
    'Queue/a/b',
    'exchange/taskcluster-x/e',
    'xqueue/a/b',
    'amq.gen-abc',
    'taskcluster-x',
    `queue/${'a'.repeat(65)}/x`,
    `queue/a/${'x'.repeat(248)}`,
    `queue/a/${'ü'.repeat(124)}`,
  ]) {
    it(`refuses ${JSON.stringify(address)}`.slice(0, 80), async () => {
      const sorted = await sort(address);
      assert.equal(sorted.kind, 'refused');
      assert.match(sorted.reason, /^th/);
    });
  }

  it('accepts only queue/<namespace>/<rest> as a queue', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        const sorted = await sort(text, false);
        assert.equal(sorted.kind === 'queue', /^queue\/[A-Za-z0-9_-]{1,64}\/[^]+$/.test(text));
      }),
    );
  });
});

describe('signedReplyTo', () => {
  it('is the literal for direct reply-to, and otherwise the name of the queue', () => {
    assert.equal(signedReplyTo({ kind: 'direct', address: DIRECT }), 'amq.rabbitmq.reply-to');
    assert.equal(signedReplyTo({ kind: 'queue', address: 'queue/a/b', namespace: 'a' }), 'queue/a/b');
  });
});
