import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createManagement, HASHING_ALGORITHM, type Management } from '../../../src/broker/management/management.ts';
import { hashPassword } from '../../../src/broker/password-hash.ts';
import { isAgentError } from '../../../src/util/agent-errors.ts';
import { Secret } from '../../../src/util/secret.ts';
import { type BrokerFixture, openBrokerFixture } from '../../support/broker-fixture.ts';
import { openConnection, useSharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { unique } from '../../support/folders.ts';
import { makeManagementProxy, type ManagementProxy, stoppingOnce } from '../../support/management-proxy.ts';

describe('404 of the management API', () => {
  const broker = useSharedBroker();
  let room: BrokerFixture;
  let proxy: ManagementProxy;
  let management: Management;
  beforeEach(async () => {
    room = await openBrokerFixture();
    proxy = await makeManagementProxy(broker().managementPort);
    management = createManagement({
      url: `http://127.0.0.1:${proxy.port}`,
      username: room.user,
      password: new Secret(room.password),
      timeoutMs: 10_000,
      probe: { vhost: room.requestVhost, name: room.names.requestQueue },
    });
    addCleanup(() => management.close());
  });

  const makeUser = async (): Promise<string> => {
    const name = unique('user');
    const passwordHash = hashPassword(new Secret('password'), randomBytes(4));
    await room.management.putUser(name, { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: [] });
    addCleanup(() => room.management.deleteUser(name).then(() => undefined));
    return name;
  };
  const declareQueue = async (name: string, vhost = room.vhost): Promise<void> => {
    const url = Object.assign(new URL(room.amqpUrl), { pathname: `/${vhost}` });
    const channel = await (await openConnection(url.href)).createChannel();
    await channel.assertQueue(name, { arguments: { 'x-queue-type': 'quorum' } });
  };

  it('of a node that is stopping takes nothing for missing, and no deletion for done', async () => {
    const user = await makeUser();
    const marker = unique('marker');
    await room.management.putGlobalParameter(marker, { store: 'another' });
    addCleanup(() => room.management.deleteGlobalParameter(marker).then(() => undefined));
    await declareQueue('queue/team/a');

    proxy.isStopping = stoppingOnce('GET', `/users/${user}`);
    assert.equal((await management.getUser(user))?.name, user);
    proxy.isStopping = stoppingOnce('GET', `/global-parameters/${marker}`);
    assert.deepEqual(await management.getGlobalParameter(marker), { store: 'another' });
    proxy.isStopping = stoppingOnce('GET', `/vhosts/${room.vhost}`);
    assert.equal(await management.hasVhost(room.vhost), true);
    proxy.isStopping = stoppingOnce('GET', `/queues/${room.vhost}`);
    assert.deepEqual(await management.listQueueNames(room.vhost), ['queue/team/a']);
    proxy.isStopping = stoppingOnce('DELETE', `/users/${user}`);
    assert.equal(await management.deleteUser(user), true);
    proxy.isStopping = stoppingOnce('DELETE', '/queue%2Fteam%2Fa');
    assert.equal(await management.deleteQueue(room.vhost, 'queue/team/a'), true);
    assert.equal(await room.management.getUser(user), undefined);
    assert.deepEqual(await room.management.listQueueNames(room.vhost), []);
  });

  it('of everything is reported as unavailable, for every kind of resource', async () => {
    proxy.isStopping = () => true;
    const binding = {
      source: 'a',
      destination: 'b',
      destinationType: 'queue',
      routingKey: '',
      propertiesKey: '~',
    } as const;
    const permissions = { configure: '', write: '', read: '' };
    const policy = { pattern: '', applyTo: 'queues', definition: {}, priority: 0 };
    const { vhost } = room;
    const calls: readonly (() => Promise<unknown>)[] = [
      () => management.getUser('x'),
      () => management.deleteUser('x'),
      () => management.listUsers(),
      () => management.hasVhost(vhost),
      () => management.getPermissions(vhost, 'x'),
      () => management.putPermissions(vhost, 'x', permissions),
      () => management.deletePermissions(vhost, 'x'),
      () => management.listUserPermissions('x'),
      () => management.listUserTopicPermissions('x'),
      () => management.deleteTopicPermissions(vhost, 'x'),
      () => management.getUserLimits('x'),
      () => management.deleteUserLimit('x', 'max-channels'),
      () => management.listUserConnections('x'),
      () => management.closeUserConnections('x', 'a test'),
      () => management.closeConnection('x', 'a test'),
      () => management.putPolicy(vhost, 'x', policy),
      () => management.deletePolicy(vhost, 'x'),
      () => management.deleteOperatorPolicy(vhost, 'x'),
      () => management.getGlobalParameter('x'),
      () => management.deleteGlobalParameter('x'),
      () => management.getQueue(vhost, 'x'),
      () => management.getQueueBytes(vhost, 'x'),
      () => management.getQueueOwner(vhost, 'x'),
      () => management.deleteQueue(vhost, 'x'),
      () => management.hasExchange(vhost, 'x'),
      () => management.deleteExchange(vhost, 'x'),
      () => management.listBindingsInto(vhost, 'x'),
      () => management.deleteBinding(vhost, binding),
    ];
    for (const call of calls) {
      await assert.rejects(call(), (error) => isAgentError(error, 'BrokerUnavailable'), String(call));
    }
  });

  it('of a name with a slash is refused with a reason while a proxy decodes %2F', async () => {
    await declareQueue(room.names.requestQueue, room.requestVhost);
    await declareQueue('queue/team/a');
    proxy.decodeSlashes = true;
    const decodes = (error: unknown): boolean =>
      isAgentError(error, 'BrokerRefused') && error.message.includes('decodes %2F');
    await assert.rejects(management.getQueue(room.vhost, 'queue/team/a'), decodes);
    await assert.rejects(management.deleteQueue(room.vhost, 'queue/team/a'), decodes);
    assert.deepEqual(await management.listQueueNames(room.vhost), ['queue/team/a']);
    proxy.decodeSlashes = false;
    assert.equal((await management.getQueue(room.vhost, 'queue/team/a'))?.type, 'quorum');
  });

  it('is believed without another call where RabbitMQ knows the resource, and its name has no slash', async () => {
    assert.equal(await management.getUser('missing'), undefined);
    assert.equal(await management.deleteUser('missing'), false);
    assert.equal(await management.getGlobalParameter('missing'), undefined);
    assert.deepEqual(proxy.requests, [
      'GET /api/users/missing',
      'DELETE /api/users/missing',
      'GET /api/global-parameters/missing',
    ]);
  });

  it('is believed of a name with a slash, before and after the first start of an agent', async () => {
    assert.equal(await management.getQueue(room.vhost, 'queue/team/missing'), undefined);
    await declareQueue(room.names.requestQueue, room.requestVhost);
    assert.equal(await management.getQueue(room.vhost, 'queue/team/missing'), undefined);
    assert.equal(await management.deleteExchange(room.vhost, 'exchange/team/missing'), false);
  });
});
