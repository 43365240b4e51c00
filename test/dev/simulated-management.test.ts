import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  BrokerRefusal,
  createManagement,
  HASHING_ALGORITHM,
  type Management,
} from '../../src/broker/management/management.ts';
import { hashPassword } from '../../src/broker/password-hash.ts';
import { Secret } from '../../src/util/secret.ts';
import { startSimulatedManagement } from '../../dev/simulated-management.ts';
import { type BrokerFixture, openBrokerFixture } from '../support/broker-fixture.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';

const PERMISSIONS = { configure: '^$', write: '^a$', read: '.*' };

/** A management API with accounts and queues whose names begin with `prefix`. */
interface Place {
  readonly room: BrokerFixture;
  readonly management: Management;
  readonly url: string;
  readonly prefix: string;
  declareQueues(names: readonly string[]): Promise<void>;
}

async function openReal(): Promise<Place> {
  const room = await openBrokerFixture();
  const declareQueues = async (names: readonly string[]): Promise<void> => {
    const channel = await (await openConnection(room.amqpUrl)).createChannel();
    for (const name of names) await channel.assertQueue(name);
  };
  const url = new URL(room.managementUrl).origin;
  return { room, management: room.management, url, prefix: unique('simulated'), declareQueues };
}

async function openSimulated(): Promise<Place> {
  const room = await openBrokerFixture();
  const prefix = unique('simulated');
  const simulated = await startSimulatedManagement({
    upstream: new URL(room.managementUrl).origin,
    credentials: `${room.user}:${room.password}`,
    userPrefix: prefix,
    queuePrefix: prefix,
  });
  addCleanup(() => simulated.close());
  const management = createManagement({
    url: simulated.url,
    username: room.user,
    password: new Secret(room.password),
    timeoutMs: 10_000,
  });
  addCleanup(() => management.close());
  const declareQueues = async (names: readonly string[]): Promise<void> => {
    simulated.accounts.setQueues(room.vhost, names);
  };
  return { room, management, url: simulated.url, prefix, declareQueues };
}

// One suite for both: what the agent sees of the simulation is what it would see of RabbitMQ.
for (const [title, open] of [
  ['RabbitMQ', openReal],
  ['the simulation', openSimulated],
] as const) {
  describe(`accounts and queues at the management API of ${title}`, () => {
    useSharedBroker();
    let place: Place;
    beforeEach(async () => {
      place = await open();
    });

    const putUser = async (tags: readonly string[] = []) => {
      const { management, prefix } = place;
      const name = unique(`${prefix} a/b`);
      const passwordHash = hashPassword(new Secret('password'), randomBytes(4));
      const user = { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags };
      addCleanup(() => management.deleteUser(name).then(() => undefined));
      assert.equal(await management.putUser(name, user), 'created');
      return { name, ...user };
    };

    it('creates, changes, lists and deletes users', async () => {
      const { management } = place;
      const user = await putUser(['one', 'two']);
      assert.deepEqual(await management.getUser(user.name), user);
      const changed = { ...user, tags: ['three'] };
      assert.equal(await management.putUser(user.name, changed), 'updated');
      const listed = await management.listUsers();
      assert.deepEqual(
        listed.filter(({ name }) => name === user.name),
        [changed],
      );
      assert.ok(listed.some(({ name }) => name === place.room.user));
      assert.deepEqual(await management.listUserConnections(user.name), []);
      await management.closeUserConnections(user.name, 'test');
      assert.equal(await management.deleteUser(user.name), true);
      assert.equal(await management.deleteUser(user.name), false);
      assert.equal(await management.getUser(user.name), undefined);
    });

    it('grants, lists and revokes permissions, which end with the user', async () => {
      const { management, room } = place;
      const { name } = await putUser();
      assert.equal(await management.getPermissions(room.vhost, name), undefined);
      assert.equal(await management.putPermissions(room.vhost, name, PERMISSIONS), 'created');
      assert.equal(await management.putPermissions(room.vhost, name, PERMISSIONS), 'updated');
      assert.deepEqual(await management.getPermissions(room.vhost, name), PERMISSIONS);
      assert.deepEqual(await management.listUserPermissions(name), [{ vhost: room.vhost, ...PERMISSIONS }]);
      assert.deepEqual(await management.listUserTopicPermissions(name), []);
      assert.deepEqual(await permissionsOf(name), [{ user: name, vhost: room.vhost, ...PERMISSIONS }]);
      assert.equal(await management.deletePermissions(room.vhost, name), true);
      assert.deepEqual(await permissionsOf(name), []);
      await management.putPermissions(room.vhost, name, PERMISSIONS);
      await management.deleteUser(name);
      assert.deepEqual(await permissionsOf(name), []);
      assert.deepEqual(await management.listUserPermissions(name), []);
      await assert.rejects(management.putPermissions(room.vhost, name, PERMISSIONS), BrokerRefusal);
    });

    const permissionsOf = async (user: string): Promise<object[]> => {
      const found: object[] = [];
      await place.management.visitPermissions((listed) => {
        if (listed.user === user) found.push(listed);
      });
      return found;
    };

    it('sets, lists and removes limits, which end with the user', async () => {
      const { management } = place;
      const { name } = await putUser();
      const limitsOf = async (): Promise<object[]> => {
        const found: object[] = [];
        await management.visitUserLimits((listed) => {
          if (listed.user === name) found.push(listed.limits);
        });
        return found;
      };
      assert.deepEqual(await management.getUserLimits(name), {});
      await management.putUserLimit(name, 'max-connections', 3);
      await management.putUserLimit(name, 'max-channels', 5);
      const limits = { 'max-connections': 3, 'max-channels': 5 };
      assert.deepEqual(await management.getUserLimits(name), limits);
      assert.deepEqual(await limitsOf(), [limits]);
      await management.deleteUserLimit(name, 'max-channels');
      assert.deepEqual(await management.getUserLimits(name), { 'max-connections': 3 });
      await management.deleteUser(name);
      assert.deepEqual(await limitsOf(), []);
    });

    it('lists and deletes queues', async () => {
      const { management, room, prefix } = place;
      const names = [`${prefix}/a b`, `${prefix}/c`];
      await place.declareQueues(names);
      const isOurs = ({ name }: { readonly name: string }): boolean => name.startsWith(prefix);
      const listed = (await management.listQueues(room.vhost)).filter(isOurs);
      assert.deepEqual(
        listed.toSorted((a, b) => a.name.localeCompare(b.name)),
        names.map((name) => ({ name, messages: 0 })),
      );
      const [first = ''] = names;
      assert.deepEqual(await management.getQueue(room.vhost, first), { name: first, type: 'classic' });
      assert.equal(await management.deleteQueue(room.vhost, first), true);
      assert.equal(await management.deleteQueue(room.vhost, first), false);
      assert.equal(await management.getQueue(room.vhost, first), undefined);
      const left = await management.listQueueNames(room.vhost);
      assert.deepEqual(
        left.filter((name) => name.startsWith(prefix)),
        names.slice(1),
      );
    });

    it('refuses other credentials', async () => {
      const { prefix, room, url } = place;
      const management = createManagement({
        url,
        username: room.user,
        password: new Secret('wrong'),
        timeoutMs: 10_000,
      });
      addCleanup(() => management.close());
      await assert.rejects(
        management.getUser(`${prefix}-user`),
        (error) => error instanceof BrokerRefusal && error.status === 401,
      );
    });
  });
}
