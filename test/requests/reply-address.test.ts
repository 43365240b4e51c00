import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { ReplyLocation } from '../../src/broker/management/requester-nodes.ts';
import { classifyReplyAddress, type ReplyAddress } from '../../src/requests/reply-address.ts';

const DIRECT = 'amq.rabbitmq.reply-to.gAAAA.bbbb';

const NODE = { hash: 1, sinceMs: 0 };

function at(kind: ReplyLocation['kind']): ReplyLocation {
  return kind === 'unknown' ? { kind } : { kind, node: NODE };
}

async function classify(replyTo: unknown, kind: ReplyLocation['kind'] = 'running'): Promise<ReplyAddress> {
  return await classifyReplyAddress(replyTo, async () => at(kind));
}

describe('classifyReplyAddress', () => {
  it('accepts a direct reply-to address that a running node wrote', async () => {
    assert.deepEqual(await classify(DIRECT), { kind: 'direct', address: DIRECT, node: NODE });
  });

  it('refuses one that no running node wrote, with the reason', async () => {
    assert.deepEqual(await classify(DIRECT, 'unknown'), {
      kind: 'refused',
      reason: 'the reply_to is a direct reply-to address that no running node wrote',
    });
  });

  it('recognizes one of a requester whose node is down', async () => {
    assert.deepEqual(await classify(DIRECT, 'down'), { kind: 'gone', address: DIRECT, node: NODE });
  });

  it('checks everything that begins like direct reply-to', async () => {
    const checked: string[] = [];
    for (const address of ['amq.rabbitmq.reply-to', 'amq.rabbitmq.reply-to/queue/a/b', 'amq.rabbitmq.reply-to2']) {
      const classified = await classifyReplyAddress(address, async (it) => {
        checked.push(it);
        return at('unknown');
      });
      assert.equal(classified.kind, 'refused');
    }
    assert.equal(checked.length, 3);
  });

  for (const address of [
    undefined,
    null,
    '',
    7,
    Buffer.from('queue/a/b'),
    { toString: () => 'amq.rabbitmq.reply-to.a.b' },
    'queue',
    'queue/taskcluster-x',
    'queue/taskcluster-x/replies',
    'queue/taskcluster-x/a/b',
    'queue/pulse-agent/v1/requests',
    'queue/pulse-agent/v1/dead',
    'Queue/a/b',
    'exchange/taskcluster-x/e',
    ' amq.rabbitmq.reply-to.a.b',
    'Amq.rabbitmq.reply-to.a.b',
    'amq.gen-abc',
    'taskcluster-x',
    `queue/a/${'x'.repeat(248)}`,
    `queue/a/${'ü'.repeat(124)}`,
  ]) {
    it(`refuses ${JSON.stringify(address)} without checking it`.slice(0, 80), async () => {
      const classified = await classifyReplyAddress(address, async () => assert.fail('must not be checked'));
      assert.equal(classified.kind, 'refused');
      assert.match(classified.reason, /reply_to/);
    });
  }

  it('accepts nothing but what begins like direct reply-to and is checked', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.string().map((rest) => `amq.rabbitmq.reply-to${rest}`),
      fc.string().map((rest) => `queue/taskcluster-x/${rest}`),
    );
    await fc.assert(
      fc.asyncProperty(text, fc.constantFrom('running', 'down', 'unknown'), async (address, location) => {
        const { kind } = await classify(address, location);
        const isDirect = address.startsWith('amq.rabbitmq.reply-to');
        assert.equal(kind === 'direct', isDirect && location === 'running');
        assert.equal(kind === 'gone', isDirect && location === 'down');
      }),
    );
  });
});
