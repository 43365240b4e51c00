import assert from 'node:assert/strict';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { connect } from 'amqplib';
import { noAudit } from '../../src/notify/audit.ts';
import { openManagement } from '../../src/agent.ts';
import { createBindingRemover } from '../../src/broker/foreign-bindings.ts';
import type { Management } from '../../src/broker/management.ts';
import { createNamespaceParts } from '../../src/composition/namespace-parts.ts';
import { systemClock } from '../../src/clock.ts';
import type { EventType } from '../../src/contract/event-types.ts';
import { createLog } from '../../src/log.ts';
import { permissionsOf } from '../../src/namespaces/accounts.ts';
import { createRepairParts } from '../../src/composition/repair-parts.ts';
import type { FileSettings } from '../../src/settings.ts';
import { makeInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const never = new AbortController().signal;
const DAY_MS = 86_400_000;

/** A broker with accounts of an installation, and the parts that compare them, without an agent. */
async function setUp(given: Partial<FileSettings> = {}) {
  const installation = await makeInstallation({ settings: given });
  const { config, broker } = installation;
  const store = createMemoryStore();
  const events: { type: EventType; data: Record<string, unknown> }[] = [];
  const lines: string[] = [];
  let calls: string[] = [];
  const real = openManagement(config);
  const management = new Proxy(real, {
    get(target, name: keyof Management) {
      const call = target[name] as (...rest: unknown[]) => unknown;
      return (...rest: unknown[]) => {
        calls.push(name);
        return call.apply(target, rest);
      };
    },
  });
  const bindings = createBindingRemover({
    amqpUrl: config.rabbitmqUrl,
    id: config.id,
    vhost: config.vhost,
    management,
  });
  addCleanup(async () => {
    await bindings.close();
    real.close();
  });
  let aheadMs = 0;
  const clock = {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
  };
  const settings = {
    config,
    store,
    management,
    clock,
    randomBytes,
    random: () => 0,
    log: createLog(config, { write: (line: string) => void lines.push(line) }),
    audit: noAudit,
    events: { emit: (type: EventType, data: object) => void events.push({ type, data: { ...data } }) },
  };
  const parts = createNamespaceParts(settings);
  const { repair, reconcile } = createRepairParts(settings, parts, bindings);
  const vhost = encodeURIComponent(config.vhost);
  await manage(broker, 'PUT', `/exchanges/${vhost}/${encodeURIComponent(installation.names.rpcExchange)}`, {
    type: 'direct',
    durable: true,
  });
  const namespace = unique('taskcluster-team');
  const claim = async (name = namespace) =>
    await parts.claimNamespace({ namespace: name, expiresMs: undefined, contact: null, claimedBy: 'team' }, never);
  const rotate = async (name = namespace): Promise<void> => {
    const record = store.peek(name) ?? assert.fail();
    store.put({ ...record, nextRotationMs: 0 });
    await parts.rotation.sweep(never);
    assert.equal(store.peek(name)?.generation, record.generation + 1);
  };
  const user = (slot: 1 | 2, name = namespace): string => `${config.usernamePrefix}${name}-${slot}`;
  const read = async (path: string): Promise<unknown> => (await manage(broker, 'GET', path, undefined, [404])).body;
  /** What there is of an account on the broker. */
  const seen = async (slot: 1 | 2, name = namespace) => {
    const account = (await read(`/users/${user(slot, name)}`)) as { tags?: string[]; password_hash?: string };
    return {
      exists: account.password_hash !== undefined,
      tags: account.tags,
      hash: account.password_hash,
      permissions: await real.getPermissions(config.vhost, user(slot, name)),
      limits: await real.getUserLimits(user(slot, name)),
    };
  };
  return {
    ...installation,
    inVhost: vhost,
    store,
    parts,
    repair,
    reconcile: () => reconcile(never),
    namespace,
    claim,
    rotate,
    user,
    read,
    seen,
    lines,
    put: (path: string, body?: object) => manage(broker, 'PUT', path, body),
    advance: (ms: number) => void (aheadMs += ms),
    takeEvents: () => events.splice(0),
    takeCalls: () => {
      const made = calls;
      calls = [];
      return made;
    },
  };
}

type Site = Awaited<ReturnType<typeof setUp>>;

/** What every account of a namespace should be. */
function whole({ config, namespace }: Site, slot: { hash?: string | undefined }) {
  return {
    exists: true,
    tags: [],
    hash: slot.hash,
    permissions: permissionsOf(config.id, namespace),
    limits: { ...config.accountLimits },
  };
}

async function opens(url: string): Promise<void> {
  await (await connect(url)).close();
}

describe('reconcile-broker', function () {
  this.timeout(BROKER_START_MS);

  it('only lists when nothing is wrong', async () => {
    const site = await setUp({ accountLimits: { 'max-channels': 50 } });
    await site.claim();
    await site.rotate();
    site.takeCalls();
    site.takeEvents();
    for (let pass = 0; pass < 2; pass += 1) {
      assert.deepEqual(await site.reconcile(), {
        namespaces: 1,
        repaired: 0,
        leftovers: 0,
        bindings: 0,
        connections: 0,
        unknown: [],
      });
      assert.deepEqual(site.takeCalls().toSorted(), [
        'listBindingsInto',
        'listConnections',
        'listPermissions',
        'listUserLimits',
        'listUsers',
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
      change: (site, account) => site.put(`/users/${account}`, { password: 'by hand', tags: '' }),
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
      title: 'added tags',
      repaired: ['tags'],
      async change(site, account) {
        const { password_hash: hash } = (await site.read(`/users/${account}`)) as { password_hash: string };
        await site.put(`/users/${account}`, { password_hash: hash, tags: 'administrator' });
      },
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
    it(`puts ${title} right, of both accounts`, async () => {
      const site = await setUp({ accountLimits: { 'max-channels': 50 } });
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

  it('leaves the password of a standby account alone once nobody is promised it', async () => {
    const site = await setUp();
    await site.claim();
    await site.rotate();
    const record = site.store.peek(site.namespace) ?? assert.fail();
    await site.put(`/users/${site.user(1)}`, { password: 'by hand', tags: '' });
    const { hash } = await site.seen(1);
    site.store.put({ ...record, slots: [{ ...record.slots[0], promisedUntilMs: Date.now() - 1 }, record.slots[1]] });
    await site.reconcile();
    assert.equal((await site.seen(1)).hash, hash);
  });

  it('brings a record from a backup up to the broker, and disturbs no credentials', async () => {
    const site = await setUp();
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
    assert.ok(site.lines.some((line) => line.includes('was behind its accounts')));
  });

  it('touches nothing that only looks similar', async () => {
    const site = await setUp();
    const { namespace, config, inVhost } = site;
    const longer = `${namespace}-x`;
    await site.claim();
    await site.claim(longer);
    const foreign = [
      `${namespace}-1`,
      `${config.usernamePrefix}${namespace}`,
      `${config.usernamePrefix}${namespace}-3`,
    ];
    const unknown = [`${config.usernamePrefix}${namespace}y-1`, `${config.usernamePrefix}${namespace}y-2`];
    for (const user of [...foreign, ...unknown]) {
      await site.put(`/users/${user}`, { password: 'theirs', tags: 'monitoring' });
      await site.put(`/permissions/${inVhost}/${user}`, { configure: '.*', write: '.*', read: '.*' });
      addCleanup(async () => void (await manage(site.broker, 'DELETE', `/users/${user}`, undefined, [404])));
    }
    const queues = [`queue/${longer}/q`, `queue/${namespace}`, `queues/${namespace}/q`, `${namespace}/q`, 'theirs'];
    for (const queue of queues) await site.put(`/queues/${inVhost}/${encodeURIComponent(queue)}`, {});
    await site.put(`/exchanges/${inVhost}/${encodeURIComponent(`exchange/${longer}/e`)}`, { type: 'topic' });
    const state = async () => ({
      users: ((await site.read('/users')) as { name: string }[]).filter(({ name }) => name.includes(namespace)),
      permissions: ((await site.read(`/vhosts/${inVhost}/permissions`)) as { user: string }[]).filter(({ user }) =>
        user.includes(namespace),
      ),
      queues: ((await site.read(`/queues/${inVhost}`)) as { name: string }[]).map(({ name }) => name),
      exchanges: ((await site.read(`/exchanges/${inVhost}`)) as { name: string }[]).map(({ name }) => name),
    });
    const before = await state();
    // The shorter name becomes a tombstone with an account left, so that its things are deleted.
    const record = site.store.peek(namespace) ?? assert.fail();
    site.store.put({ ...record, state: 'gone', goneMs: Date.now() - DAY_MS, endReason: 'expired' });
    const { leftovers, unknown: found } = await site.reconcile();
    assert.equal(leftovers, 1);
    assert.deepEqual(found, unknown);
    const after = await state();
    assert.deepEqual(
      after.users,
      before.users.filter(({ name }) => name !== site.user(1)),
    );
    assert.deepEqual(
      after.permissions,
      before.permissions.filter(({ user }) => user !== site.user(1)),
    );
    assert.deepEqual([after.queues, after.exchanges], [before.queues, before.exchanges]);
    const told = (): number => site.lines.filter((line) => line.includes('have no record')).length;
    assert.equal(told(), 1);
    await site.reconcile();
    assert.equal(told(), 1, 'what has not changed is not told again');
    const buried = site.store.peek(namespace) ?? assert.fail();
    site.store.put({ ...buried, goneMs: Date.now() - DAY_MS });
    assert.equal((await site.reconcile()).leftovers, 0, 'nothing that is there is its own');
  });

  it('removes what is left of a tombstone, and nothing of the life after it', async () => {
    const site = await setUp();
    const { namespace, inVhost } = site;
    await site.claim();
    const queue = `/queues/${inVhost}/${encodeURIComponent(`queue/${namespace}/late`)}`;
    const exchange = `/exchanges/${inVhost}/${encodeURIComponent(`exchange/${namespace}/late`)}`;
    const record = site.store.peek(namespace) ?? assert.fail();
    const gone = { ...record, state: 'gone', endReason: 'released' } as const;
    for (const leave of [
      () => site.put(`/users/${site.user(2)}`, { password: 'late', tags: '' }),
      () => site.put(queue, {}),
      () => site.put(exchange, { type: 'topic' }),
    ]) {
      await leave();
      const revision = (site.store.peek(namespace)?.revision ?? 0) + 1;
      site.store.put({ ...gone, revision, goneMs: Date.now() });
      assert.equal((await site.reconcile()).leftovers, 0, 'a write may still be under way');
      site.store.put({ ...gone, revision, goneMs: Date.now() - DAY_MS });
      assert.equal((await site.reconcile()).leftovers, 1);
      assert.equal(site.store.peek(namespace)?.state, 'gone');
      assert.ok((site.store.peek(namespace)?.goneMs ?? 0) > Date.now() - 60_000, 'its name is not free at once');
      assert.deepEqual([(await site.seen(1)).exists, (await site.seen(2)).exists], [false, false]);
      assert.equal((await manage(site.broker, 'GET', queue, undefined, [404])).status, 404);
      assert.equal((await manage(site.broker, 'GET', exchange, undefined, [404])).status, 404);
    }
    site.advance(60_000);
    await site.put(queue, {});
    const { connectionString } = await site.claim();
    await site.put(`/users/${site.user(2)}`, { password: 'of the former life', tags: '' });
    assert.equal((await site.reconcile()).leftovers, 0);
    assert.equal((await manage(site.broker, 'GET', queue)).status, 200);
    assert.equal((await site.seen(2)).exists, false, 'a standby account of a former life opens nothing');
    await opens(connectionString);
  });

  it('closes connections of accounts that are too old, and no others', async () => {
    const site = await setUp({ connectionMaxAgeSeconds: 3600 });
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
    assert.equal(othersClosed, 0);
  });

  it('removes foreign bindings into the request exchange, with arguments and without', async () => {
    const site = await setUp();
    const source = `exchange/${site.namespace}/spy`;
    const connection = await openConnection(site.vhost.amqpUrl);
    const channel = await connection.createChannel();
    await channel.assertExchange(source, 'headers');
    await channel.bindExchange(site.names.rpcExchange, source, 'a~b/c');
    await channel.bindExchange(site.names.rpcExchange, source, '');
    await channel.bindExchange(site.names.rpcExchange, source, 'key', { 'x-match': 'all', a: 'b' });
    assert.equal((await site.reconcile()).bindings, 3);
    assert.equal((await site.reconcile()).bindings, 0);
    assert.deepEqual(await site.read(`/exchanges/${site.inVhost}/${encodeURIComponent(source)}/bindings/source`), []);
  });

  it('finishes a revocation that an agent left unfinished', async () => {
    const site = await setUp();
    const { connectionString } = await site.claim();
    const record = site.store.peek(site.namespace) ?? assert.fail();
    const { keyId } = record.slots[0];
    site.store.put({
      ...record,
      revision: record.revision + 1,
      state: 'provisioning',
      generation: 3,
      slots: [
        { generation: 3, keyId, promisedUntilMs: 0 },
        { generation: 2, keyId, promisedUntilMs: 0 },
      ],
      recheckMs: Date.now() - 1,
    });
    await site.reconcile();
    assert.equal(site.store.peek(site.namespace)?.state, 'active');
    await assert.rejects(opens(connectionString), /ACCESS_REFUSED|403/);
    await opens((await site.claim()).connectionString);
  });

  it('is not stopped by one namespace that cannot be repaired', async () => {
    const site = await setUp();
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

/** Waits until the listing of connections, which lags, has so many with the time they were opened. */
async function untilListed(site: Site, count: number): Promise<void> {
  for (;;) {
    const listed = (await site.read(`/vhosts/${site.inVhost}/connections`)) as { connected_at?: number }[];
    if (listed.filter((connection) => connection.connected_at !== undefined).length >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
