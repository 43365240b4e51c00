import assert from 'node:assert/strict';
import { once } from 'node:events';
import { storeTag } from '../../../src/broker/store-tag.ts';
import { permissionsOf } from '../../../src/namespaces/accounts/account-names.ts';
import { BROKER_START_MS, manage, openConnection } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { never, opens, setUpSite, type Site } from './reconcile-site.ts';

/** The expected state of every account of a namespace. */
function whole({ config, namespace, store }: Site, slot: { hash?: string | undefined }) {
  return {
    exists: true,
    tags: [storeTag(store.storeId)],
    hash: slot.hash,
    permissions: permissionsOf(config, namespace),
    topicPermissions: [],
    limits: { ...config.accountLimits },
  };
}

describe('createReconcile', function () {
  this.timeout(BROKER_START_MS);

  it('only lists when there is no drift', async () => {
    const site = await setUpSite({ accountLimits: { 'max-channels': 50 } });
    await site.claim();
    await site.rotate();
    site.takeCalls();
    site.takeEvents();
    for (let pass = 0; pass < 2; pass += 1) {
      assert.deepEqual(await site.reconcile(), {
        namespaces: 1,
        repaired: 0,
        leftovers: 0,
        connections: 0,
        unknown: [],
      });
      assert.deepEqual(site.takeCalls().toSorted(), [
        'listConnections',
        'listConnections',
        'listOpenConnections',
        'listTopicPermissions',
        'visitPermissions',
        'visitUserLimits',
        'visitUsers',
      ]);
    }
    assert.deepEqual(site.takeEvents(), []);
  });

  const changes: {
    title: string;
    repaired: string[];
    change: (site: Site, account: string) => Promise<unknown>;
  }[] = [
    {
      title: 'a changed password',
      repaired: ['password'],
      change: (site, account) =>
        site.put(`/users/${account}`, { password: 'by hand', tags: storeTag(site.store.storeId) }),
    },
    {
      title: 'a deleted account',
      repaired: ['account'],
      change: (site, account) => manage(site.broker, 'DELETE', `/users/${account}`),
    },
    {
      title: 'removed permissions',
      repaired: ['permissions'],
      change: (site, account) => manage(site.broker, 'DELETE', `/permissions/${site.inVhost}/${account}`),
    },
    {
      title: 'wider permissions',
      repaired: ['permissions'],
      change: (site, account) =>
        site.put(`/permissions/${site.inVhost}/${account}`, { configure: '.*', write: '.*', read: '.*' }),
    },
    {
      title: 'permissions in another vhost',
      repaired: ['permissions'],
      change: (site, account) => site.put(`/permissions/%2F/${account}`, { configure: '.*', write: '.*', read: '.*' }),
    },
    {
      title: 'permissions by topic',
      repaired: ['permissions'],
      async change(site, account) {
        await site.put(`/topic-permissions/${site.inVhost}/${account}`, { exchange: '', write: '.*', read: '.*' });
        await site.put(`/topic-permissions/%2F/${account}`, { exchange: 'amq.topic', write: '.*', read: '.*' });
      },
    },
    {
      title: 'added tags',
      repaired: ['tags'],
      async change(site, account) {
        const { password_hash: hash } = (await site.read(`/users/${account}`)) as { password_hash: string };
        await site.put(`/users/${account}`, { password_hash: hash, tags: 'administrator' });
      },
    },
    {
      title: 'removed limits',
      repaired: ['limits'],
      change: (site, account) => manage(site.broker, 'DELETE', `/user-limits/${account}/max-channels`),
    },
    {
      title: 'changed and added limits',
      repaired: ['limits'],
      async change(site, account) {
        await site.put(`/user-limits/${account}/max-channels`, { value: 3 });
        await site.put(`/user-limits/${account}/max-connections`, { value: 0 });
      },
    },
  ];
  for (const { title, repaired, change } of changes) {
    it(`repairs ${title}, of both accounts`, async () => {
      const site = await setUpSite({ accountLimits: { 'max-channels': 50 } });
      const first = await site.claim();
      await site.rotate();
      const second = await site.claim();
      await site.reconcile();
      for (const slot of [1, 2] as const) await change(site, site.user(slot));
      assert.equal((await site.reconcile()).repaired, 1);
      for (const slot of [1, 2] as const) {
        const seen = await site.seen(slot);
        assert.deepEqual(seen, whole(site, seen));
      }
      await opens(first.connectionString);
      await opens(second.connectionString);
      assert.deepEqual(
        site.takeEvents().filter(({ type }) => type === 'account.repaired'),
        ([1, 2] as const).map((slot) => ({
          type: 'account.repaired',
          data: { namespace: site.namespace, account: site.user(slot), repaired },
        })),
      );
      assert.equal((await site.reconcile()).repaired, 0);
    });
  }

  it('leaves the password of a standby account alone once it is no longer promised', async () => {
    const site = await setUpSite();
    await site.claim();
    await site.rotate();
    const record = site.store.peek(site.namespace) ?? assert.fail();
    await site.put(`/users/${site.user(1)}`, { password: 'by hand', tags: '' });
    const { hash } = await site.seen(1);
    site.store.put({ ...record, slots: [{ ...record.slots[0], promisedUntilMs: Date.now() - 1 }, record.slots[1]] });
    await site.reconcile();
    assert.equal((await site.seen(1)).hash, hash);
  });

  it('advances a record from a backup to the broker, and disturbs no credentials', async () => {
    const site = await setUpSite();
    await site.claim();
    const backup = site.store.peek(site.namespace) ?? assert.fail();
    const given: string[] = [];
    for (let day = 0; day < 5; day += 1) {
      await site.rotate();
      given.push((await site.claim()).connectionString);
      site.advance(2 * 3_600_000);
    }
    site.store.put(backup);
    await site.reconcile();
    await site.parts.rotation.sweep(never);
    for (const url of given.slice(-2)) await opens(url);
    const record = site.store.peek(site.namespace);
    assert.equal(record?.generation, 6);
    assert.equal(record.revision, backup.revision + 1);
    assert.equal((await site.claim()).connectionString, given.at(-1));
    assert.ok(site.lines.some((line) => line.includes('record_advanced')));
  });

  it('closes too old connections of accounts, and no others', async () => {
    const site = await setUpSite({ connectionMaxAgeSeconds: 3600 });
    const { connectionString } = await site.claim();
    const stranger = `${site.config.usernamePrefix}taskcluster-unknown-1`;
    await site.put(`/users/${stranger}`, { password: 'theirs', tags: '' });
    await site.put(`/permissions/${site.inVhost}/${stranger}`, { configure: '', write: '', read: '' });
    addCleanup(async () => void (await manage(site.broker, 'DELETE', `/users/${stranger}`, undefined, [404])));
    const theirs = new URL(site.vhost.amqpUrl);
    theirs.username = stranger;
    theirs.password = 'theirs';
    const [ours, ...others] = await Promise.all([
      openConnection(connectionString),
      openConnection(theirs.href),
      openConnection(site.vhost.amqpUrl),
    ]);
    let othersClosed = 0;
    for (const other of others) other.on('close', () => (othersClosed += 1));
    const closed = once(ours, 'close');
    await untilListed(site, 3);
    assert.equal((await site.reconcile()).connections, 0);
    site.advance(3_601_000);
    assert.equal((await site.reconcile()).connections, 1);
    const [reason] = await closed;
    assert.match(String(reason), /open for as long as it may. Claim credentials and connect again/);
    const [event, ...more] = site.takeEvents().filter(({ type }) => type === 'connection.closed');
    assert.deepEqual(more, []);
    assert.equal(event?.data['account'], site.user(1));
    assert.equal(event.data['reason'], 'age');
    // Every account reads events: RabbitMQ's name of a connection has the addresses of both sides.
    assert.match(String(event.data['connection']), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(othersClosed, 0);
  });

  it('finishes a revocation that an agent left unfinished', async () => {
    const site = await setUpSite();
    const { connectionString } = await site.claim();
    const record = site.store.peek(site.namespace) ?? assert.fail();
    const { secretId } = record.slots[0];
    site.store.put({
      ...record,
      revision: record.revision + 1,
      state: 'provisioning',
      generation: 3,
      slots: [
        { generation: 3, secretId, promisedUntilMs: 0 },
        { generation: 2, secretId, promisedUntilMs: 0 },
      ],
      recheckAtMs: Date.now() - 1,
    });
    await site.reconcile();
    assert.equal(site.store.peek(site.namespace)?.state, 'active');
    await assert.rejects(opens(connectionString), /ACCESS_REFUSED|403/);
    await opens((await site.claim()).connectionString);
  });

  it('continues after a namespace that cannot be repaired', async () => {
    const site = await setUpSite();
    const broken = `${site.namespace}-a`;
    await site.claim(broken);
    await site.claim();
    for (const name of [broken, site.namespace]) await manage(site.broker, 'DELETE', `/users/${site.user(1, name)}`);
    const provision = site.parts.accounts.provision.bind(site.parts.accounts);
    const failing: typeof provision = async (record, ...rest) => {
      if (record.namespace === broken) throw new Error('broken');
      await provision(record, ...rest);
    };
    Object.assign(site.parts.accounts, { provision: failing });
    assert.equal((await site.reconcile()).repaired, 1);
    assert.equal((await site.seen(1)).exists, true);
    const [event] = site.takeEvents().filter(({ type }) => type === 'namespace.failing');
    assert.deepEqual([event?.data['namespace'], event?.data['work']], [broken, 'repair']);
  });
});

/** Waits until the listing of connections, which lags, shows this many with the time they were opened. */
async function untilListed(site: Site, count: number): Promise<void> {
  for (;;) {
    const listed = (await site.read(`/vhosts/${site.inVhost}/connections`)) as { connected_at?: number }[];
    if (listed.filter((connection) => connection.connected_at !== undefined).length >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
