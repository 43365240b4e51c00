import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { ensureClaimant } from '../../src/broker/claimant.ts';
import { requesterPermissions } from '../../src/broker/request-vhost.ts';
import { DIRECT_REPLY_TO } from '../../src/contract/names.ts';
import { Secret } from '../../src/util/secret.ts';
import { type BrokerFixture, openBrokerFixture } from '../support/broker-fixture.ts';
import { manage, openConnection, sharedBroker, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';

async function openChannel(connection: ChannelModel): Promise<ConfirmChannel> {
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  return channel;
}

/** The broker's reason for closing the channel of `act`, or `allowed`. */
async function verdict(connection: ChannelModel, act: (channel: ConfirmChannel) => Promise<unknown>): Promise<string> {
  const channel = await openChannel(connection);
  const closed = once(channel, 'error').then(([error]: unknown[]) => String(error));
  const done = act(channel).then(
    () => 'allowed',
    () => closed,
  );
  return await Promise.race([closed, done]);
}

const everything = { configure: '.*', write: '.*', read: '.*' };

describe('claimant', () => {
  useSharedBroker();
  let room: BrokerFixture;
  const password = new Secret('known to everybody');
  beforeEach(async () => {
    room = await openBrokerFixture();
    addCleanup(() => room.management.deleteUser(room.names.claimantUser).then(() => undefined));
  });

  const settings = () => ({
    id: room.id,
    requestVhost: room.requestVhost,
    storeId: 'store',
    password,
    maxConnections: 3,
    maxChannels: 6,
  });
  const keep = (changes: Partial<ReturnType<typeof settings>> = {}) =>
    ensureClaimant(room.management, { ...settings(), ...changes }, randomBytes);
  const connect = () => {
    const url = new URL(room.requestUrl);
    url.username = room.names.claimantUser;
    url.password = encodeURIComponent(password.reveal());
    return openConnection(url.href);
  };

  it('is created once, with limits and the tag of the store', async () => {
    assert.deepEqual(await keep(), ['account', 'max-connections', 'max-channels', 'permissions']);
    assert.deepEqual(await keep(), []);
    const { management, names, requestVhost } = room;
    assert.deepEqual((await management.getUser(names.claimantUser))?.tags, ['pulse-agent-store']);
    assert.deepEqual(await management.getUserLimits(names.claimantUser), { 'max-connections': 3, 'max-channels': 6 });
    assert.deepEqual(await management.getPermissions(requestVhost, names.claimantUser), requesterPermissions(room.id));
  });

  it('is repaired where it differs, and only there', async () => {
    await keep();
    const { management, names, requestVhost } = room;
    await management.putPermissions(requestVhost, names.claimantUser, everything);
    assert.deepEqual(await keep(), ['permissions']);
    await management.putPermissions(room.vhost, names.claimantUser, everything);
    assert.deepEqual(await keep(), ['permissions']);
    const path = `/topic-permissions/${requestVhost}/${names.claimantUser}`;
    await manage(await sharedBroker(), 'PUT', path, { exchange: names.rpcExchange, write: '.*', read: '.*' });
    assert.deepEqual(await keep(), ['permissions']);
    assert.deepEqual(await keep(), []);
    assert.deepEqual(await management.listUserPermissions(names.claimantUser), [
      { vhost: requestVhost, ...requesterPermissions(room.id) },
    ]);
    assert.deepEqual(await management.listUserTopicPermissions(names.claimantUser), []);
    await management.deleteUserLimit(names.claimantUser, 'max-channels');
    assert.deepEqual(await keep(), ['max-channels']);
    const user = await management.getUser(names.claimantUser);
    assert.ok(user !== undefined);
    await management.putUser(names.claimantUser, { ...user, tags: ['administrator'] });
    assert.deepEqual(await keep(), ['account']);
    assert.deepEqual(await keep({ password: new Secret('a new one') }), ['account']);
    assert.deepEqual(await keep({ maxConnections: 9 }), ['account', 'max-connections']);
    await management.deleteUser(names.claimantUser);
    assert.deepEqual(await keep(), ['account', 'max-connections', 'max-channels', 'permissions']);
  });

  it('may be without limits', async () => {
    await keep({ maxConnections: -1, maxChannels: -1 });
    assert.deepEqual(await keep({ maxConnections: -1, maxChannels: -1 }), []);
    for (let i = 0; i < 5; i += 1) await connect();
  });

  it('escapes the characters of an id', () => {
    assert.equal(requesterPermissions('pulse-agent').write, '^rpc/pulse-agent/v[0-9]+$');
    assert.equal(requesterPermissions('a.b').write, String.raw`^rpc/a\.b/v[0-9]+$`);
  });

  it('can send a request by direct reply-to and get the reply', async () => {
    await room.open();
    await keep();
    const channel = await (await connect()).createChannel();
    const reply = new Promise<string>((resolve) => {
      void channel.consume(DIRECT_REPLY_TO, (message) => resolve(String(message?.content)), { noAck: true });
    });
    channel.publish(room.names.rpcExchange, 'ping', Buffer.from('{}'), { replyTo: DIRECT_REPLY_TO });

    const responder = await (await openConnection(room.requestUrl)).createChannel();
    await responder.consume(
      room.names.requestQueue,
      (message) => responder.sendToQueue(String(message?.properties.replyTo), Buffer.from('pong')),
      { noAck: true },
    );
    assert.equal(await reply, 'pong');
  });

  it('can read, declare, bind and publish nothing else', async () => {
    await room.open();
    await keep();
    const { names } = room;
    const connection = await connect();
    const acts: Record<string, (channel: ConfirmChannel) => Promise<unknown>> = {
      'consume requests': (channel) => channel.consume(names.requestQueue, () => undefined),
      'get dead letters': (channel) => channel.get(names.deadQueue),
      'purge requests': (channel) => channel.purgeQueue(names.requestQueue),
      'delete requests': (channel) => channel.deleteQueue(names.requestQueue),
      'declare a queue': (channel) => channel.assertQueue('', { exclusive: true }),
      'declare an exchange': (channel) => channel.assertExchange('exchange/mine', 'topic'),
      'declare a request exchange': (channel) => channel.assertExchange(`rpc/${room.id}/v2`, 'direct'),
      'bind requests elsewhere': (channel) => channel.bindQueue(names.requestQueue, names.eventsExchange, '#'),
      'bind events into requests': (channel) => channel.bindExchange(names.rpcExchange, names.eventsExchange, '#'),
      'publish an event': (channel) => {
        channel.publish(names.eventsExchange, 'forged', Buffer.from('{}'));
        return channel.waitForConfirms();
      },
      'publish dead letters': (channel) => {
        channel.publish(names.deadExchange, '', Buffer.from('{}'));
        return channel.waitForConfirms();
      },
      'publish to a queue': (channel) => {
        channel.sendToQueue(names.requestQueue, Buffer.from('{}'));
        return channel.waitForConfirms();
      },
    };
    for (const [what, act] of Object.entries(acts)) {
      assert.match(await verdict(connection, act), /ACCESS_REFUSED/, what);
    }
  });

  it('has no more connections than its limit', async () => {
    await keep();
    for (let i = 0; i < 3; i += 1) await connect();
    await assert.rejects(connect(), /ConnectionClose/);
  });
});
