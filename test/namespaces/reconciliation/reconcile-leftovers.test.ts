import assert from 'node:assert/strict';
import { storeTag } from '../../../src/broker/store-tag.ts';
import { BROKER_START_MS, manage } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { never, opens, setUpSite } from './reconcile-site.ts';

const DAY_MS = 86_400_000;

describe('the reconciliation of leftovers', function () {
  this.timeout(BROKER_START_MS);

  it('touches nothing with a similar name', async () => {
    const site = await setUpSite();
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
    // The shorter name becomes a tombstone with an account left, so that its leftovers are deleted.
    const record = site.store.peek(namespace) ?? assert.fail();
    site.store.put({ ...record, state: 'deleted', deletedAtMs: Date.now() - DAY_MS, deletionReason: 'expired' });
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
    const reported = (): number => site.lines.filter((line) => line.includes('unknown_users')).length;
    assert.equal(reported(), 1);
    await site.reconcile();
    assert.equal(reported(), 1, 'an unchanged set of unknown users is not reported again');
    const tombstone = site.store.peek(namespace) ?? assert.fail();
    site.store.put({ ...tombstone, deletedAtMs: Date.now() - DAY_MS });
    assert.equal((await site.reconcile()).leftovers, 0, 'the remaining objects are not its own');
  });

  it('deletes the leftovers of a tombstone, and nothing of the next incarnation', async () => {
    const site = await setUpSite();
    const { namespace, inVhost } = site;
    await site.claim();
    const queue = `/queues/${inVhost}/${encodeURIComponent(`queue/${namespace}/late`)}`;
    const exchange = `/exchanges/${inVhost}/${encodeURIComponent(`exchange/${namespace}/late`)}`;
    const record = site.store.peek(namespace) ?? assert.fail();
    const tombstone = { ...record, state: 'deleted', deletionReason: 'released' } as const;
    for (const leave of [
      () => site.put(`/users/${site.user(2)}`, { password: 'late', tags: storeTag(site.store.storeId) }),
      () => site.put(queue, {}),
      () => site.put(exchange, { type: 'topic' }),
    ]) {
      await leave();
      const revision = (site.store.peek(namespace)?.revision ?? 0) + 1;
      site.store.put({ ...tombstone, revision, deletedAtMs: Date.now() });
      assert.equal((await site.reconcile()).leftovers, 0, 'a late write may still arrive');
      site.store.put({ ...tombstone, revision, deletedAtMs: Date.now() - DAY_MS });
      assert.equal((await site.reconcile()).leftovers, 1);
      assert.equal(site.store.peek(namespace)?.state, 'deleted');
      assert.ok(
        (site.store.peek(namespace)?.deletedAtMs ?? 0) > Date.now() - 60_000,
        'its name is not reusable immediately',
      );
      assert.deepEqual([(await site.seen(1)).exists, (await site.seen(2)).exists], [false, false]);
      assert.equal((await manage(site.broker, 'GET', queue, undefined, [404])).status, 404);
      assert.equal((await manage(site.broker, 'GET', exchange, undefined, [404])).status, 404);
    }
    site.advance(60_000);
    const { connectionString } = await site.claim();
    await site.put(queue, {});
    await site.put(`/users/${site.user(2)}`, { password: 'of the former incarnation', tags: '' });
    const { hash } = await site.seen(2);
    assert.equal((await site.reconcile()).leftovers, 0);
    assert.equal((await manage(site.broker, 'GET', queue)).status, 200);
    assert.notEqual((await site.seen(2)).hash, hash, 'a standby account of a former incarnation opens no connection');
    await opens(connectionString);
  });

  it('leaves a user alone that has the name of a deleted account and was not created by an agent', async () => {
    const site = await setUpSite();
    const { namespace } = site;
    await site.claim();
    await manage(site.broker, 'DELETE', `/users/${site.user(1)}`);
    const record = site.store.peek(namespace) ?? assert.fail();
    site.store.put({ ...record, state: 'deleted', deletionReason: 'released', deletedAtMs: Date.now() - DAY_MS });
    await site.put(`/users/${site.user(1)}`, { password: 'theirs', tags: 'monitoring' });
    const before = await site.read(`/users/${site.user(1)}`);
    const { leftovers, unknown } = await site.reconcile();
    assert.deepEqual([leftovers, unknown], [0, [site.user(1)]]);
    assert.equal(await site.repair(namespace, never), false);
    await assert.rejects(site.claim(), { code: 'RequestConflict', retryable: false });
    assert.deepEqual(await site.read(`/users/${site.user(1)}`), before);
  });
});
