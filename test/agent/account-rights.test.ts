import assert from 'node:assert/strict';
import type { Channel, ChannelModel } from 'amqplib';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';

describe('what a claimed account may do', () => {
  const installation = useInstallation();
  let mine: string;
  /** A namespace whose name begins with the other one's. */
  let theirs: string;
  let connection: ChannelModel;

  before(async () => {
    mine = teamNamespace();
    theirs = `${mine}-more`;
    const rpc = await installation().rpc(TEAM);
    const claim = async (namespace: string) => await rpc.request('claim-namespace', { namespace });
    connection = await openConnection((await claim(mine)).connectionString);
    const channel = await (await openConnection((await claim(theirs)).connectionString)).createChannel();
    for (const namespace of [theirs, mine]) {
      const owner = namespace === mine ? await connection.createChannel() : channel;
      await owner.assertQueue(`queue/${namespace}/q`);
      await owner.assertExchange(`exchange/${namespace}/x`, 'topic');
    }
  });

  /** The code with which the broker closes the channel on which this is tried; undefined when it lets it pass. */
  const refusalOf = async (attempt: (channel: Channel) => unknown): Promise<number | undefined> => {
    const channel = await connection.createChannel();
    const refused = new Promise<number | undefined>((resolve) => {
      channel.once('error', (error: Error & { code?: number }) => resolve(error.code));
    });
    const passed = async (): Promise<undefined> => {
      try {
        await attempt(channel);
        // A publish is refused some time after it was sent: what is asked next is answered later.
        await channel.checkQueue(`queue/${mine}/q`);
      } catch {
        await refused;
      }
    };
    const code = await Promise.race([refused, passed()]);
    if (code === undefined) await channel.close().catch(() => undefined);
    return code;
  };

  it('uses its own queues and exchanges in every way', async () => {
    const own: ((channel: Channel) => unknown)[] = [
      (channel) => channel.assertQueue(`queue/${mine}/a/b`, { arguments: { 'x-queue-type': 'quorum' } }),
      (channel) => channel.assertExchange(`exchange/${mine}/y`, 'fanout'),
      (channel) => channel.bindQueue(`queue/${mine}/q`, `exchange/${mine}/x`, '#'),
      (channel) => channel.publish(`exchange/${mine}/x`, 'k', Buffer.from('m')),
      (channel) => channel.consume(`queue/${mine}/q`, () => undefined, { noAck: true }),
      (channel) => channel.purgeQueue(`queue/${mine}/q`),
      (channel) => channel.deleteQueue(`queue/${mine}/a/b`),
      (channel) => channel.deleteExchange(`exchange/${mine}/y`),
    ];
    for (const attempt of own) assert.equal(await refusalOf(attempt), undefined, String(attempt));
  });

  it('reads what others publish, the agent included, and sends requests', async () => {
    const { names } = installation();
    const shared: ((channel: Channel) => unknown)[] = [
      (channel) => channel.bindQueue(`queue/${mine}/q`, `exchange/${theirs}/x`, '#'),
      (channel) => channel.bindQueue(`queue/${mine}/q`, names.eventsExchange, '#'),
      (channel) => channel.publish(names.rpcExchange, 'ping', Buffer.from('{}')),
    ];
    for (const attempt of shared) assert.equal(await refusalOf(attempt), undefined, String(attempt));
  });

  const forbidden: readonly (readonly [string, (channel: Channel) => unknown])[] = [
    ["declare a queue in another's namespace", (channel) => channel.assertQueue(`queue/${theirs}/new`)],
    [
      "declare an exchange in another's namespace",
      (channel) => channel.assertExchange(`exchange/${theirs}/n`, 'topic'),
    ],
    ['declare a queue outside of every namespace', (channel) => channel.assertQueue('free')],
    ['declare a queue named by the broker', (channel) => channel.assertQueue('')],
    ['declare a queue whose name only contains its own', (channel) => channel.assertQueue(`x/queue/${mine}/q`)],
    ['declare a queue called as the namespace alone', (channel) => channel.assertQueue(`queue/${mine}`)],
    ["read another's queue", (channel) => channel.consume(`queue/${theirs}/q`, () => undefined)],
    ["get from another's queue", (channel) => channel.get(`queue/${theirs}/q`)],
    ["purge another's queue", (channel) => channel.purgeQueue(`queue/${theirs}/q`)],
    ["delete another's queue", (channel) => channel.deleteQueue(`queue/${theirs}/q`)],
    ["delete another's exchange", (channel) => channel.deleteExchange(`exchange/${theirs}/x`)],
    ["bind another's queue", (channel) => channel.bindQueue(`queue/${theirs}/q`, `exchange/${mine}/x`, '#')],
    [
      "bind into another's exchange",
      (channel) => channel.bindExchange(`exchange/${theirs}/x`, `exchange/${mine}/x`, '#'),
    ],
    ["publish to another's exchange", (channel) => channel.publish(`exchange/${theirs}/x`, 'k', Buffer.from('m'))],
    ['write through the default exchange', (channel) => channel.sendToQueue(`queue/${theirs}/q`, Buffer.from('m'))],
    [
      'write into its own queue through the default exchange',
      (channel) => channel.sendToQueue(`queue/${mine}/q`, Buffer.from('m')),
    ],
    ['read the requests of all', (channel) => channel.consume(installation().names.requestQueue, () => undefined)],
    ['read the dead letters', (channel) => channel.consume(installation().names.deadQueue, () => undefined)],
    [
      'listen at the rpc exchange',
      (channel) => channel.bindQueue(`queue/${mine}/q`, installation().names.rpcExchange, 'claim-namespace'),
    ],
    [
      'listen at the dead letters',
      (channel) => channel.bindQueue(`queue/${mine}/q`, installation().names.deadExchange, '#'),
    ],
    ['write dead letters', (channel) => channel.publish(installation().names.deadExchange, 'ping', Buffer.from('{}'))],
    [
      'publish agent events',
      (channel) => channel.publish(installation().names.eventsExchange, 'agent.started.x', Buffer.from('{}')),
    ],
    ['delete the rpc exchange', (channel) => channel.deleteExchange(installation().names.rpcExchange)],
    ['write to the exchanges of the broker', (channel) => channel.publish('amq.topic', 'k', Buffer.from('m'))],
    ['listen at the exchanges of the broker', (channel) => channel.bindQueue(`queue/${mine}/q`, 'amq.topic', '#')],
  ];
  for (const [what, attempt] of forbidden) {
    it(`may not ${what}`, async () => assert.equal(await refusalOf(attempt), 403));
  }

  it('has touched nothing of the other by all that', async () => {
    const admin = await (await openConnection(installation().vhost.amqpUrl)).createChannel();
    assert.equal((await admin.checkQueue(`queue/${theirs}/q`)).messageCount, 0);
    await admin.checkExchange(`exchange/${theirs}/x`);
  });
});

describe('what the claimant may do', () => {
  const installation = useInstallation();

  it('writes requests, and nothing else', async () => {
    const { names } = installation();
    const connection = await openConnection(installation().claimantUrl);
    const attempts: ((channel: Channel) => unknown)[] = [
      (channel) => channel.assertQueue('queue/taskcluster-team/q'),
      (channel) => channel.assertQueue(''),
      (channel) => channel.consume(names.requestQueue, () => undefined),
      (channel) => channel.assertExchange(`${names.rpcExchange}x`, 'topic'),
      (channel) => channel.publish('', names.requestQueue, Buffer.from('{}')),
      (channel) => channel.publish(names.deadExchange, 'x', Buffer.from('{}')),
      (channel) => channel.publish(names.eventsExchange, 'x', Buffer.from('{}')),
      (channel) => channel.publish('amq.topic', 'x', Buffer.from('{}')),
    ];
    for (const attempt of attempts) {
      const channel = await connection.createChannel();
      const refused = new Promise<number | undefined>((resolve) => {
        channel.once('error', (error: Error & { code?: number }) => resolve(error.code));
      });
      Promise.resolve(attempt(channel)).catch(() => undefined);
      assert.equal(await refused, 403, String(attempt));
    }
    assert.equal((await (await installation().rpc()).request('ping', {})).alive, true);
  });
});
