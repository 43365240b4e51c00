import assert from 'node:assert/strict';
import { createQueueDepths } from '../../../src/broker/amqp/queue-depths.ts';
import { Secret } from '../../../src/util/secret.ts';
import { createVhost, openConnection, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { makeRelay } from '../../support/tcp-relay.ts';

const { signal } = new AbortController();

async function site(given: { readonly amqpUrl?: string; readonly timeoutMs?: number } = {}) {
  const vhost = await createVhost();
  const counts = createQueueDepths({ id: 'agent', ...given, amqpUrl: new Secret(given.amqpUrl ?? vhost.amqpUrl) });
  addCleanup(() => counts.close());
  return { vhost, counts, channel: await (await openConnection(vhost.amqpUrl)).createConfirmChannel() };
}

describe('the depth of single queues', function () {
  this.timeout(60_000);
  useSharedBroker();

  it('counts ready messages only, for the queues that exist', async () => {
    const { counts, channel } = await site();
    await channel.assertQueue('full', { arguments: { 'x-queue-type': 'quorum' } });
    await channel.assertQueue('empty');
    await channel.assertQueue('held');
    for (let sent = 0; sent < 7; sent += 1) channel.sendToQueue('full', Buffer.from('x'));
    for (let sent = 0; sent < 5; sent += 1) channel.sendToQueue('held', Buffer.from('x'));
    await channel.waitForConfirms();
    let held = 0;
    await new Promise<void>((resolve) => {
      void channel.consume('held', () => {
        held += 1;
        if (held === 5) resolve();
      });
    });
    const missing = Array.from({ length: 30 }, (_, number) => `missing-${number}`);
    const read = await counts.read([...missing, 'full', 'empty', ...missing, 'held'], signal);
    assert.deepEqual(
      read,
      new Map([
        ['full', 7],
        ['empty', 0],
        ['held', 0],
      ]),
    );
    assert.deepEqual(await counts.read(['full'], signal), new Map([['full', 7]]));
    assert.deepEqual(await counts.read([], signal), new Map());
  });

  it('is unknown for a queue that is exclusive to another connection', async () => {
    const { counts, channel } = await site();
    await channel.assertQueue('exclusive', { exclusive: true });
    await channel.assertQueue('common');
    assert.deepEqual(await counts.read(['exclusive', 'common'], signal), new Map([['common', 0]]));
  });

  it('is unavailable while the broker does not answer, and available again afterwards', async () => {
    const { vhost } = await site();
    const url = new URL(vhost.amqpUrl);
    const relay = await makeRelay(Number(url.port), url.hostname);
    url.port = String(relay.port);
    const { counts } = await site({ amqpUrl: url.href });
    assert.deepEqual(await counts.read(['x'], signal), new Map());
    relay.cut();
    await assert.rejects(counts.read(['x'], signal), { code: 'BrokerUnavailable' });
    relay.restore();
    assert.deepEqual(await counts.read(['x'], signal), new Map());
  });

  it('rejects when the signal aborts', async () => {
    const { counts } = await site();
    const ended = new AbortController();
    const reading = counts.read(['x'], ended.signal);
    ended.abort(new Error('no more'));
    await assert.rejects(reading, /no more/);
  });
});
