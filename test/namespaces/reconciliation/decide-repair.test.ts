import assert from 'node:assert/strict';
import { HASHING_ALGORITHM } from '../../../src/broker/management/management.ts';
import { storeTag } from '../../../src/broker/store-tag.ts';
import { hashPassword } from '../../../src/broker/password-hash.ts';
import { accountName, permissionsOf } from '../../../src/namespaces/accounts/account-names.ts';
import type { SlotNumber } from '../../../src/namespaces/slots.ts';
import type { AccountState } from '../../../src/namespaces/accounts/account-state.ts';
import { beforeRotation, decideRepair } from '../../../src/namespaces/reconciliation/decide-repair.ts';
import type { RepairContext } from '../../../src/namespaces/reconciliation/find-faults.ts';
import { createPasswordCheck, createVerifiedHashes } from '../../../src/namespaces/accounts/password-check.ts';
import { createKeyring } from '../../../src/namespaces/accounts/keyring.ts';
import { Secret } from '../../../src/util/secret.ts';
import type { NamespaceRecord, Slot } from '../../../src/store/namespace-record.ts';
import { recordOf } from '../../support/records.ts';

const keyring = createKeyring(new Secret('s'.repeat(32)), [new Secret('p'.repeat(32))]);
const previous = createKeyring(new Secret('p'.repeat(32)), []).currentSecretId;
const secretId = keyring.currentSecretId;
const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-24T12:00:00Z');
const intervals = { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };
const permissions = permissionsOf({ id: 'pulse-agent', vhost: '/', requestVhost: 'pulse-agent' }, 'taskcluster-x');
const checkOf = createPasswordCheck({ keyring, storeId: 'store', usernamePrefix: 'p.' });

/** An active record at a generation, whose standby account is promised for another half hour. */
function at(generation: number, given: Partial<NamespaceRecord> = {}): NamespaceRecord {
  const active: Slot = { generation, secretId, promisedUntilMs: NOW + HOUR };
  const standby: Slot = {
    generation: generation - 1,
    secretId: generation === 1 ? '' : secretId,
    promisedUntilMs: generation === 1 ? 0 : NOW + HOUR / 2,
  };
  const slots = generation % 2 === 1 ? ([active, standby] as const) : ([standby, active] as const);
  return recordOf(NOW, { generation, slots, nextSecretId: secretId, ...given });
}

/** An account with the password of a generation; 0: with a foreign password. */
function holding(
  slot: SlotNumber,
  generation: number,
  given: { secretId?: string; incarnation?: string } = {},
): AccountState {
  const username = accountName('p.', 'taskcluster-x', slot);
  const password = keyring.derive({
    secretId: given.secretId ?? secretId,
    storeId: 'store',
    incarnation: given.incarnation ?? recordOf(NOW).incarnation,
    username,
    generation,
  });
  const passwordHash = hashPassword(generation === 0 ? new Secret('foreign') : password, Buffer.from([1, 2, 3, 4]));
  return {
    user: { name: username, passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: [storeTag('store')] },
    permissions,
    topicPermissions: [],
    limits: {},
  };
}

const NO_PERMISSIONS = { permissions: {}, topicPermissions: [] };
const MISSING: AccountState = { ...NO_PERMISSIONS, limits: {} };

function decide(
  record: NamespaceRecord,
  first: AccountState,
  second: AccountState,
  given: Partial<RepairContext> = {},
) {
  return decideRepair(
    record,
    [first, second],
    {
      nowMs: NOW,
      intervals,
      keyring: keyring,
      permissions,
      limits: {},
      check: checkOf(record),
      storeId: 'store',
      ...given,
    },
    () => 0,
  );
}

const differs = (slot: SlotNumber, ...what: string[]) => ({
  action: 'restore',
  faults: [{ slot, kind: 'differs', drift: what }],
});
const NONE = { action: 'none' };

describe('decideRepair', () => {
  it('does nothing without drift', () => {
    assert.deepEqual(decide(at(1), holding(1, 1), MISSING), NONE);
    assert.deepEqual(decide(at(2), holding(1, 1), holding(2, 2)), NONE);
    assert.deepEqual(decide(at(7), holding(1, 7), holding(2, 6)), NONE);
  });

  it('restores the active account, whatever is promised', () => {
    const slots = [
      { generation: 3, secretId, promisedUntilMs: 0 },
      { generation: 2, secretId, promisedUntilMs: 0 },
    ] as const;
    const record = at(3, { slots });
    assert.deepEqual(decide(record, holding(1, 0), holding(2, 2)), differs(1, 'password'));
    assert.deepEqual(decide(record, MISSING, holding(2, 2)), differs(1, 'account'));
  });

  it('treats a hash of another algorithm, and no hash, as another password', () => {
    for (const given of [{ hashingAlgorithm: 'rabbit_password_hashing_sha512' }, { passwordHash: '' }]) {
      const { user, ...rest } = holding(1, 1);
      assert.ok(user);
      assert.deepEqual(decide(at(1), { ...rest, user: { ...user, ...given } }, MISSING), differs(1, 'password'));
    }
  });

  it('restores the standby account exactly as long as it is promised', () => {
    const record = at(3);
    const until = record.slots[1].promisedUntilMs;
    for (const second of [MISSING, holding(2, 0)]) {
      const what = second === MISSING ? 'account' : 'password';
      assert.deepEqual(decide(record, holding(1, 3), second, { nowMs: until - 1 }), differs(2, what));
      const late = decide(record, holding(1, 3), second, { nowMs: until });
      assert.equal(late.action, second === MISSING ? 'mark-permissions' : 'none');
    }
  });

  it('restores tags with the password, and permissions and limits at any time', () => {
    const record = at(3);
    const late = { nowMs: record.slots[1].promisedUntilMs };
    const tagged = { ...holding(2, 2), ...NO_PERMISSIONS, limits: { 'max-channels': 1 } };
    assert.ok(tagged.user);
    const user = tagged.user;
    for (const tags of [['administrator'], [], [storeTag('other')], [storeTag('store'), 'monitoring']]) {
      tagged.user = { ...user, tags };
      assert.deepEqual(decide(record, holding(1, 3), tagged), differs(2, 'tags', 'permissions', 'limits'));
    }
    assert.deepEqual(decide(record, holding(1, 3), tagged, late), differs(2, 'permissions', 'limits'));
  });

  it('finds drift of every pattern in every vhost, of permissions by topic, and of every limit', () => {
    const record = at(1);
    for (const [vhost, granted] of Object.entries(permissions)) {
      for (const what of ['configure', 'write', 'read'] as const) {
        const account = { ...holding(1, 1), permissions: { ...permissions, [vhost]: { ...granted, [what]: '.*' } } };
        assert.deepEqual(decide(record, account, MISSING), differs(1, 'permissions'));
      }
      const { [vhost]: _, ...withoutVhost } = permissions;
      assert.deepEqual(
        decide(record, { ...holding(1, 1), permissions: withoutVhost }, MISSING),
        differs(1, 'permissions'),
      );
    }
    const elsewhere = { ...permissions, other: { configure: '', write: '', read: '' } };
    for (const given of [{ permissions: elsewhere }, { topicPermissions: ['/'] }]) {
      assert.deepEqual(decide(record, { ...holding(1, 1), ...given }, MISSING), differs(1, 'permissions'));
    }
    const limits = { 'max-connections': 5 };
    assert.deepEqual(decide(record, holding(1, 1), MISSING, { limits }), differs(1, 'limits'));
    assert.deepEqual(decide(record, { ...holding(1, 1), limits }, MISSING, { limits }), NONE);
    assert.deepEqual(decide(record, { ...holding(1, 1), limits }, MISSING), differs(1, 'limits'));
  });

  it('leaves permissions alone that a newer agent wrote', () => {
    const account = { ...holding(1, 1), permissions: { ...permissions, '/': { configure: '', write: '', read: '' } } };
    assert.deepEqual(decide(at(1, { permissionsVersion: 99 }), account, MISSING), NONE);
  });

  it('marks a deleted standby account that is no longer promised, so that its rotation grants permissions', () => {
    const [first, second] = at(3).slots;
    const record = at(3, { slots: [first, { ...second, promisedUntilMs: NOW }] });
    const noted = { ...record, revision: record.revision + 1, permissionsVersion: 0 };
    assert.deepEqual(decide(record, holding(1, 3), MISSING), { action: 'mark-permissions', record: noted });
    assert.deepEqual(decide(noted, holding(1, 3), MISSING), NONE);
    assert.deepEqual(decide({ ...record, permissionsVersion: 99 }, holding(1, 3), MISSING), NONE);
    // Other drift is repaired after that.
    assert.equal(decide(record, holding(1, 0), MISSING).action, 'mark-permissions');
    assert.deepEqual(decide(noted, holding(1, 0), MISSING), differs(1, 'password'));
  });

  it('leaves passwords alone whose secret it lacks, and restores permissions', () => {
    const lacking = createKeyring(new Secret('o'.repeat(32)), []);
    const given = { keyring: lacking, check: () => undefined };
    assert.deepEqual(decide(at(1), holding(1, 0), MISSING, given), NONE);
    assert.deepEqual(decide(at(1), MISSING, MISSING, given), NONE);
    const without = { ...holding(1, 0), permissions: {} };
    assert.deepEqual(decide(at(1), without, MISSING, given), differs(1, 'permissions'));
  });

  it('does nothing about a namespace that is not active', () => {
    for (const state of ['provisioning', 'expiring', 'deleted'] as const) {
      assert.deepEqual(decide(at(3, { state }), MISSING, holding(2, 0)), NONE);
    }
  });

  it('gives a stray standby account the password of its first rotation, at any time', () => {
    const stray = (...what: string[]) => ({ action: 'restore', faults: [{ slot: 2, kind: 'stray', drift: what }] });
    const record = at(1);
    for (const nowMs of [NOW, record.nextRotationMs - 1, record.nextRotationMs + HOUR]) {
      const given = { nowMs };
      assert.deepEqual(
        decide(record, holding(1, 1), holding(2, 2, { incarnation: 'former' }), given),
        stray('password'),
      );
      const { user } = holding(2, 0);
      const bare = { user, ...NO_PERMISSIONS, limits: { 'max-connections': 0 } };
      assert.deepEqual(decide(record, holding(1, 1), bare, given), stray('password', 'permissions', 'limits'));
    }
    const { user } = holding(2, 2);
    assert.ok(user);
    const tagged = { ...holding(2, 2), user: { ...user, tags: ['administrator'] } };
    assert.deepEqual(decide(record, holding(1, 1), tagged), stray('tags'));
    // The rotation under way grants the other permissions in a moment, and never these.
    for (const given of [
      { permissions: { ...permissions, other: { configure: '', write: '', read: '' } } },
      { topicPermissions: ['/'] },
    ]) {
      assert.deepEqual(decide(record, holding(1, 1), { ...holding(2, 2), ...given }), stray('permissions'));
    }
    const other = at(1, { nextSecretId: previous });
    assert.deepEqual(decide(other, holding(1, 1), holding(2, 0)), stray('password'));
    assert.deepEqual(beforeRotation(other, 2).slots, [
      other.slots[0],
      { generation: 2, secretId: previous, promisedUntilMs: 0 },
    ]);
  });

  it('leaves an account alone that its first rotation just created, or that only another agent can check', () => {
    assert.deepEqual(decide(at(1), holding(1, 1), holding(2, 2)), NONE);
    assert.deepEqual(decide(at(1), holding(1, 1), { ...holding(2, 2), permissions: {} }), NONE);
    const lacking = { keyring: createKeyring(new Secret('o'.repeat(32)), []), check: () => undefined };
    assert.deepEqual(decide(at(1), holding(1, 1), { ...holding(2, 0), permissions: {} }, lacking), NONE);
  });

  it('does not advance a record for a standby account with a later password', () => {
    const decision = decide(at(1), holding(1, 1), holding(2, 4));
    assert.ok(decision.action === 'advance' && decision.record.generation === 4);
  });

  it('leaves a rotation in flight alone, even while the former password is promised', () => {
    assert.deepEqual(decide(at(3), holding(1, 3), holding(2, 4)), NONE);
  });

  it('advances the record when the active account has a later password', () => {
    const record = at(3, { nextRotationMs: NOW - HOUR, expiresMs: NOW - HOUR });
    for (const [first, second, generation] of [
      [holding(1, 5), holding(2, 4), 5],
      [holding(1, 5), holding(2, 6), 6],
      [holding(1, 25), MISSING, 25],
      [MISSING, holding(2, 30), 30],
    ] as const) {
      const decision = decide(record, first, second);
      assert.equal(decision.action, 'advance');
      if (decision.action !== 'advance') return;
      const next = decision.record;
      assert.equal(next.generation, generation);
      assert.equal(next.revision, record.revision + 1);
      const [active, standby] = generation % 2 === 1 ? next.slots : next.slots.toReversed();
      assert.deepEqual(active, { generation, secretId, promisedUntilMs: NOW + 2 * HOUR });
      assert.deepEqual(standby, { generation: generation - 1, secretId, promisedUntilMs: NOW + HOUR / 2 });
      assert.equal(next.nextRotationMs, NOW + HOUR);
      assert.equal(next.expiresMs, NOW + 4 * HOUR, 'an old record does not expire it');
      assert.equal(next.incarnation, record.incarnation);
    }
  });

  it('finds a later password of another secret that it has', () => {
    const decision = decide(at(3, { nextSecretId: previous }), holding(1, 5), holding(2, 4, { secretId: previous }));
    assert.equal(decision.action, 'advance');
    if (decision.action !== 'advance') return;
    assert.deepEqual(
      decision.record.slots.map((slot) => slot.secretId),
      [secretId, previous],
    );
  });

  it('treats a password of another incarnation as drift', () => {
    const active = holding(1, 5, { incarnation: 'other' });
    assert.deepEqual(decide(at(3), active, holding(2, 2)), differs(1, 'password'));
  });
});

describe('createVerifiedHashes', () => {
  it('checks a hash once and again after any change, and forgets accounts that are gone', () => {
    let checks = 0;
    const verified = createVerifiedHashes((record) => (slot, origin, user) => {
      checks += 1;
      return checkOf(record)(slot, origin, user);
    });
    const ask = (record: NamespaceRecord, account: AccountState, generation = 1): boolean | undefined =>
      verified.of(record)(1, { generation, secretId }, account.user ?? assert.fail());
    assert.equal(ask(at(1), holding(1, 1)), true);
    verified.forget(() => false);
    assert.equal(ask(at(1), holding(1, 1)), true);
    assert.equal(checks, 1);
    assert.equal(ask(at(1), holding(1, 0)), false);
    assert.equal(ask(at(1), holding(1, 1), 3), false);
    assert.equal(ask(at(1, { incarnation: 'other' }), holding(1, 1)), false);
    assert.equal(checks, 4);
    assert.equal(ask(at(1), holding(1, 1)), true);
    assert.equal(checks, 5);
    const gone: string[] = [];
    verified.forget((account) => gone.push(account) > 0);
    assert.deepEqual(gone, [holding(1, 1).user?.name]);
    assert.equal(ask(at(1), holding(1, 1)), true);
    assert.equal(checks, 6);
  });
});
