import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { storeTag } from '../../../src/broker/store-tag.ts';
import { createNamespaceAdoption } from '../../../src/namespaces/claim/adopt-namespace.ts';
import type { NamespaceContext } from '../../../src/namespaces/namespace-context.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { readNamePattern } from '../../../src/util/name-pattern.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { partial } from '../../support/partial.ts';
import { recordOf } from '../../support/records.ts';
import { createScriptedManagement } from '../../support/scripted-management.ts';

const never = new AbortController().signal;

function setUp(given?: Partial<NamespaceRecord>) {
  const clock = createManualClock();
  const scripted = createScriptedManagement();
  const store = createMemoryStore();
  if (given !== undefined) store.put(recordOf(clock.nowMs(), given));
  const adopt = createNamespaceAdoption({
    config: partial<NamespaceContext['config']>({
      usernamePrefix: '',
      namespacePrefix: 'taskcluster-',
      reservedNamespaces: [readNamePattern('taskcluster-auth')],
      rotationIntervalSeconds: 3600,
      defaultLifetimeSeconds: 4 * 3600,
      maxLifetimeSeconds: 744 * 3600,
      handshakeTimeoutSeconds: 10,
    }),
    management: partial<NamespaceContext['management']>(scripted.management),
    store: store.namespaces,
    storeId: 'ours',
    clock,
    randomBytes,
  });
  const { users, tags } = scripted;
  return { clock, store, users, tags, calls: scripted.calls, adopt: (name = 'taskcluster-x') => adopt(name, never) };
}

describe('createNamespaceAdoption', () => {
  it('creates the first account, which can do nothing', async () => {
    const { adopt, tags, calls } = setUp();
    assert.equal(await adopt(), 'adopted');
    assert.deepEqual([...tags], [['taskcluster-x-1', [storeTag('ours')]]]);
    assert.deepEqual(
      calls.map(({ name }) => name),
      ['putUser'],
    );
    assert.equal(await adopt(), 'ours');
  });

  it('marks the accounts of another store, whose passwords stay', async () => {
    const { adopt, users, tags } = setUp();
    users.set('taskcluster-x-2', 'their hash');
    tags.set('taskcluster-x-2', [storeTag('theirs')]);
    assert.equal(await adopt(), 'adopted');
    assert.deepEqual([...users], [['taskcluster-x-2', 'their hash']]);
    assert.deepEqual([...tags], [['taskcluster-x-2', [storeTag('ours')]]]);
  });

  it('leaves a user alone that no agent created', async () => {
    const { adopt, users, calls } = setUp();
    users.set('taskcluster-x-2', 'their hash');
    await assert.rejects(adopt(), { code: 'RequestConflict', retryable: false, message: /Rename or delete it/ });
    assert.deepEqual(calls, []);
  });

  it('removes a tombstone, which would have its queues deleted, once the name may be used again', async () => {
    const { adopt, store, clock, calls } = setUp({ state: 'deleted', deletedAtMs: createManualClock().nowMs() });
    await assert.rejects(adopt(), { code: 'RequestConflict', retryable: true });
    assert.deepEqual(calls, []);
    clock.advance(60_000);
    assert.equal(await adopt(), 'adopted');
    assert.equal(store.peek('taskcluster-x'), undefined);
  });

  it('changes nothing of a namespace that is claimed or being deleted, and of a reserved or foreign name', async () => {
    for (const state of ['active', 'provisioning'] as const) {
      const { adopt, calls } = setUp({ state });
      assert.equal(await adopt(), 'ours');
      assert.deepEqual(calls, []);
    }
    const { adopt, calls } = setUp({ state: 'expiring' });
    await assert.rejects(adopt(), { code: 'RequestConflict', retryable: true });
    for (const name of ['taskcluster-auth', 'other-x', 'taskcluster-a/b']) {
      await assert.rejects(adopt(name), { code: 'InputError' });
    }
    assert.deepEqual(calls, []);
  });
});
