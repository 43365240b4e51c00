import assert from 'node:assert/strict';
import type { ConfirmChannel } from 'amqplib';
import type { NamespaceDescription } from '../../src/client/client.ts';
import { InsufficientScopes, ResourceNotFound } from '../../src/client/client-errors.ts';
import { NEWCOMER, OTHER, REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { waitUntil } from '../support/watched-installation.ts';

const WARN_AT = 20;
const READER = 'team/reader';

describe('describe-namespace', () => {
  const installation = useInstallation({
    settings: { warnAtMessages: WARN_AT, deleteAtMessages: 1_000_000, surveyIntervalSeconds: 60 },
  });

  const claimWithQueue = async (): Promise<{ namespace: string; queue: string; channel: ConfirmChannel }> => {
    const namespace = teamNamespace();
    const client = installation().client(TEAM);
    const { connectionString } = await client.claimNamespace({ namespace, contact: 'team@example.com' });
    const channel = await (await openConnection(connectionString)).createConfirmChannel();
    const queue = `queue/${namespace}/tasks`;
    await channel.assertExchange(exchangeOf(queue), 'fanout');
    await declare(channel, queue);
    return { namespace, queue, channel };
  };
  const exchangeOf = (queue: string): string => queue.replace('queue/', 'exchange/');
  const declare = async (channel: ConfirmChannel, queue: string): Promise<void> => {
    await channel.assertQueue(queue);
    await channel.bindQueue(queue, exchangeOf(queue), '');
  };
  const send = async (channel: ConfirmChannel, queue: string, count: number): Promise<void> => {
    for (let sent = 0; sent < count; sent += 1) channel.publish(exchangeOf(queue), '', Buffer.alloc(100));
    await channel.waitForConfirms();
  };

  it('shows its holder what a namespace has, how its queues grow, and when they reach a threshold', async () => {
    const { namespace, queue, channel } = await claimWithQueue();
    await send(channel, queue, 4);
    await channel.prefetch(1);
    const consumer = await channel.consume(queue, () => undefined);
    const client = installation().client(TEAM);
    const describeIt = async (): Promise<NamespaceDescription> => await client.describeNamespace(namespace);
    let described = await describeIt();
    assert.equal(described.holder, TEAM);
    assert.equal(described.state, 'active');
    assert.equal(described.connections, 1);
    assert.equal(described.queues?.[0]?.messagesPerMinute, undefined, 'growth is not known from one observation');
    assert.deepEqual(
      described.audit.map(({ action, by, clientId, reason }) => ({ action, by, clientId, reason })).slice(-1),
      described.audit.length === 0 ? [] : [{ action: 'claim', by: 'client', clientId: TEAM, reason: 'first claim' }],
    );
    await waitUntil(async () => {
      described = await describeIt();
      return described.queues?.[0]?.unacknowledged === 1 && described.queues[0].consumers === 1;
    }, 'RabbitMQ shows the delivered message and the consumer');
    await channel.cancel(consumer.consumerTag);
    await send(channel, queue, 6);
    await waitUntil(async () => {
      described = await describeIt();
      return (described.queues?.[0]?.messagesPerMinute ?? 0) > 0;
    }, 'the growth is known');
    const [found] = described.queues ?? [];
    assert.ok(found !== undefined && described.observedAt !== undefined);
    assert.deepEqual(
      [found.queue, found.state, found.messages, found.ready, found.unacknowledged],
      [queue, 'watched', 10, 9, 1],
    );
    const { next } = found;
    assert.deepEqual([next?.action, next?.unit, next?.at], ['warn', 'messages', WARN_AT]);
    const nowAt = described.observedAt.at(-1) ?? '';
    assert.ok(typeof next?.reachedAt === 'string' && next.reachedAt > nowAt, JSON.stringify(next));
    assert.ok(found.growingSince !== undefined && described.observedAt.includes(found.growingSince));
    assert.equal(found.trend.length, described.observedAt.length);
    assert.equal(found.trend.at(-1), 10);
    assert.deepEqual(described.observedAt, described.observedAt.toSorted());
    assert.doesNotMatch(JSON.stringify(described), /team@example\.com/);

    // Another queue of the same name has not grown.
    await channel.deleteQueue(queue);
    await declare(channel, queue);
    await send(channel, queue, 2);
    await waitUntil(async () => {
      described = await describeIt();
      const [other] = described.queues ?? [];
      return other?.messages === 2 && !other.trend.includes(10);
    }, 'the queue before it is forgotten');
    assert.ok((described.queues?.[0]?.messagesPerMinute ?? 0) >= 0);
  }).timeout(120_000);

  it('serves those who may claim or describe the namespace, and nobody else', async () => {
    const { namespace } = await claimWithQueue();
    const { taskcluster } = installation();
    taskcluster.setClient({
      clientId: READER,
      accessToken: 'reader-0000000000000000000',
      scopes: [`pulse:describe:${namespace}`],
    });
    assert.equal((await installation().client(READER).describeNamespace(namespace)).holder, TEAM);
    for (const clientId of [OTHER, NEWCOMER, REVOKER]) {
      await assert.rejects(installation().client(clientId).describeNamespace(namespace), (error) => {
        assert.ok(error instanceof InsufficientScopes);
        assert.match(error.message, new RegExp(`pulse:describe:${namespace} or pulse:namespace:${namespace}`));
        return true;
      });
    }
    const missing = installation().client(TEAM).describeNamespace(teamNamespace());
    await assert.rejects(missing, (error) => error instanceof ResourceNotFound);
  });

  it('names no operator and no client but the holder', async () => {
    const { namespace } = await claimWithQueue();
    const { taskcluster } = installation();
    const revoker = { clientId: 'operator/secret-name', accessToken: 'revoker-000000000000000000' };
    taskcluster.setClient({ ...revoker, scopes: [`pulse:revoke:${namespace}`] });
    await installation().client(revoker.clientId).revokeNamespace(namespace);
    const client = installation().client(TEAM);
    let described = await client.describeNamespace(namespace);
    await waitUntil(async () => {
      described = await client.describeNamespace(namespace);
      return described.audit.some(({ action }) => action === 'revocation');
    }, 'the revocation is in the audit');
    const { agent } = installation();
    const text = JSON.stringify(described);
    for (const name of [revoker.clientId, agent.instance]) assert.ok(!text.includes(name), name);
    const revocation = described.audit.find(({ action }) => action === 'revocation');
    assert.deepEqual([revocation?.by, revocation?.clientId], ['client', undefined]);
    assert.equal(described.connections, 0);
  });

  it('shows the alert of a queue that has grown too large, and since when', async () => {
    const { namespace, queue, channel } = await claimWithQueue();
    await send(channel, queue, WARN_AT + 5);
    const client = installation().client(TEAM);
    let described = await client.describeNamespace(namespace);
    await waitUntil(async () => {
      described = await client.describeNamespace(namespace);
      return described.queues?.[0]?.state === 'warned';
    }, 'the owner is warned');
    const [alert] = described.alerts;
    assert.deepEqual([alert?.queue, alert?.state], [queue, 'warned']);
    assert.equal(described.queues?.[0]?.warnedSince, alert?.since);
    assert.deepEqual([described.queues?.[0]?.next?.action, described.queues?.[0]?.next?.at], ['delete', 1_000_000]);
  }).timeout(120_000);
});
