import assert from 'node:assert/strict';
import type { Channel, ChannelModel } from 'amqplib';
import { requestUrl } from '../../src/client/request-url.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';

describe('the rights of a claimed account', () => {
  const installation = useInstallation();
  let mine: string;
  /** A namespace whose name starts with the other's name. */
  let theirs: string;
  let connection: ChannelModel;
  /** With the credentials of the first namespace, in the vhost of the requests. */
  let requests: ChannelModel;

  before(async () => {
    mine = teamNamespace();
    theirs = `${mine}-more`;
    const rpc = await installation().rpc(TEAM);
    const claim = async (namespace: string) => await rpc.request('claim-namespace', { namespace });
    const { connectionString } = await claim(mine);
    connection = await openConnection(connectionString);
    requests = await openConnection(requestUrl(connectionString, installation().config.requestVhost));
    const channel = await (await openConnection((await claim(theirs)).connectionString)).createChannel();
    for (const namespace of [theirs, mine]) {
      const owner = namespace === mine ? await connection.createChannel() : channel;
      await owner.assertQueue(`queue/${namespace}/q`);
      await owner.assertExchange(`exchange/${namespace}/x`, 'topic');
    }
  });

  /** The code with which the broker closes the channel of this attempt; undefined when it allows it. */
  const refusalOf = async (
    attempt: (channel: Channel) => unknown,
    over: ChannelModel = connection,
  ): Promise<number | undefined> => {
    const channel = await over.createChannel();
    const refused = new Promise<number | undefined>((resolve) => {
      channel.once('error', (error: Error & { code?: number }) => resolve(error.code));
    });
    const passed = async (): Promise<undefined> => {
      try {
        await attempt(channel);
        // A publish is refused asynchronously, but before the answer to the next call.
        await channel.prefetch(1);
      } catch {
        await refused;
      }
    };
    const code = await Promise.race([refused, passed()]);
    if (code === undefined) await channel.close().catch(() => undefined);
    return code;
  };

  it('allow every operation on its own queues and exchanges', async () => {
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

  it('allow to read the exchanges of other namespaces and of the agent, and to send requests in their vhost', async () => {
    const { names } = installation();
    const shared: ((channel: Channel) => unknown)[] = [
      (channel) => channel.bindQueue(`queue/${mine}/q`, `exchange/${theirs}/x`, '#'),
      (channel) => channel.bindQueue(`queue/${mine}/q`, names.eventsExchange, '#'),
    ];
    for (const attempt of shared) assert.equal(await refusalOf(attempt), undefined, String(attempt));
    const send = (channel: Channel): unknown => channel.publish(names.rpcExchange, 'ping', Buffer.from('{}'));
    assert.equal(await refusalOf(send, requests), undefined);
  });

  const forbidden: readonly (readonly [string, (channel: Channel) => unknown])[] = [
    ["declare a queue in another's namespace", (channel) => channel.assertQueue(`queue/${theirs}/new`)],
    [
      "declare an exchange in another's namespace",
      (channel) => channel.assertExchange(`exchange/${theirs}/n`, 'topic'),
    ],
    ['declare a queue outside all namespaces', (channel) => channel.assertQueue('free')],
    ['declare a queue named by the broker', (channel) => channel.assertQueue('')],
    ['declare a queue whose name contains its prefix later', (channel) => channel.assertQueue(`x/queue/${mine}/q`)],
    ['declare a queue named after the namespace without a slash', (channel) => channel.assertQueue(`queue/${mine}`)],
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
    ['publish through the default exchange', (channel) => channel.sendToQueue(`queue/${theirs}/q`, Buffer.from('m'))],
    [
      'publish to its own queue through the default exchange',
      (channel) => channel.sendToQueue(`queue/${mine}/q`, Buffer.from('m')),
    ],
    [
      'publish agent events',
      (channel) => channel.publish(installation().names.eventsExchange, 'agent.started.x', Buffer.from('{}')),
    ],
    ['declare the request exchange', (channel) => channel.assertExchange(installation().names.rpcExchange, 'direct')],
    [
      'name the request exchange for its dead letters',
      (channel) => channel.assertQueue(`queue/${mine}/dead`, { deadLetterExchange: installation().names.rpcExchange }),
    ],
    [
      'name the request exchange as an alternate exchange',
      (channel) =>
        channel.assertExchange(`exchange/${mine}/z`, 'fanout', { alternateExchange: installation().names.rpcExchange }),
    ],
    [
      'bind into the request exchange',
      (channel) => channel.bindExchange(installation().names.rpcExchange, `exchange/${mine}/x`, '#'),
    ],
    ["publish to the broker's exchanges", (channel) => channel.publish('amq.topic', 'k', Buffer.from('m'))],
    ["bind a queue to the broker's exchanges", (channel) => channel.bindQueue(`queue/${mine}/q`, 'amq.topic', '#')],
  ];
  for (const [what, attempt] of forbidden) {
    it(`do not allow to ${what}`, async () => assert.equal(await refusalOf(attempt), 403));
  }

  const forbiddenAmongRequests: readonly (readonly [string, (channel: Channel) => unknown])[] = [
    ['declare a queue', (channel) => channel.assertQueue(`queue/${mine}/q`)],
    ['declare a queue named by the broker', (channel) => channel.assertQueue('', { exclusive: true })],
    ['declare an exchange', (channel) => channel.assertExchange(`exchange/${mine}/x`, 'topic')],
    ['consume requests', (channel) => channel.consume(installation().names.requestQueue, () => undefined)],
    ['get a request', (channel) => channel.get(installation().names.requestQueue)],
    ['purge the requests', (channel) => channel.purgeQueue(installation().names.requestQueue)],
    ['delete the requests', (channel) => channel.deleteQueue(installation().names.requestQueue)],
    ['consume dead letters', (channel) => channel.consume(installation().names.deadQueue, () => undefined)],
    [
      'consume unknown methods',
      (channel) => channel.consume(installation().names.unknownMethodsQueue, () => undefined),
    ],
    [
      'bind an exchange of the broker into the request exchange',
      (channel) => channel.bindExchange(installation().names.rpcExchange, 'amq.topic', '#'),
    ],
    [
      'bind the request exchange to its queue by another key',
      (channel) => channel.bindQueue(installation().names.requestQueue, installation().names.rpcExchange, 'other'),
    ],
    [
      'publish dead letters',
      (channel) => channel.publish(installation().names.deadExchange, 'ping', Buffer.from('{}')),
    ],
    [
      'publish to a queue through the default exchange',
      (channel) => channel.sendToQueue(installation().names.requestQueue, Buffer.from('{}')),
    ],
    ['delete the request exchange', (channel) => channel.deleteExchange(installation().names.rpcExchange)],
  ];
  for (const [what, attempt] of forbiddenAmongRequests) {
    it(`do not allow to ${what} in the vhost of the requests`, async () =>
      assert.equal(await refusalOf(attempt, requests), 403));
  }

  it('leave the other namespace untouched', async () => {
    const admin = await (await openConnection(installation().vhost.amqpUrl)).createChannel();
    assert.equal((await admin.checkQueue(`queue/${theirs}/q`)).messageCount, 0);
    await admin.checkExchange(`exchange/${theirs}/x`);
  });
});

describe('the rights of the claimant', () => {
  const installation = useInstallation();

  it('allow to write requests and nothing else', async () => {
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
