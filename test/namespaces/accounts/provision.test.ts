import assert from 'node:assert/strict';
import { momentOf } from '../../../src/util/clock.ts';
import { isAgentError } from '../../../src/util/agent-errors.ts';
import { permissionsOf } from '../../../src/namespaces/accounts/account-names.ts';
import { createKeyring } from '../../../src/namespaces/accounts/keyring.ts';
import { type AccountParts, createAccounts } from '../../../src/namespaces/accounts/provision.ts';
import { openWindow } from '../../../src/namespaces/write-window.ts';
import { Secret } from '../../../src/util/secret.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { recordOf } from '../../support/records.ts';
import { createScriptedManagement } from '../../support/scripted-management.ts';

const keyring = createKeyring(new Secret('s'.repeat(32)), []);
const secretId = keyring.currentSecretId;
const never = new AbortController().signal;

function setUp(given: Partial<AccountParts['config']> = {}) {
  const clock = createManualClock();
  const scripted = createScriptedManagement();
  const accounts = createAccounts({
    management: scripted.management,
    keyring,
    storeId: 'store',
    config: {
      id: 'pulse-agent',
      usernamePrefix: 'p.',
      vhost: 'v',
      requestVhost: 'r',
      publicAmqpUrl: 'amqp://h/v',
      accountLimits: {},
      ...given,
    },
    randomBytes: (size) => Buffer.alloc(size, 7),
  });
  const make = (record: NamespaceRecord, slot: 1 | 2): Promise<void> =>
    accounts.provision(record, slot, openWindow(clock, momentOf(clock), 10_000), never);
  return { clock, scripted, accounts, make };
}

function atGeneration(generation: number): NamespaceRecord {
  const [odd, even] = generation % 2 === 1 ? [generation, generation - 1] : [generation - 1, generation];
  const slots = [
    { generation: odd, secretId, promisedUntilMs: 0 },
    { generation: even, secretId, promisedUntilMs: 0 },
  ] as const;
  return recordOf(0, { generation, slots });
}

describe('provision', () => {
  it('creates a user with the tag of the store and with the hash of its password, then its permissions', async () => {
    const { scripted, make } = setUp();
    await make(atGeneration(1), 1);
    assert.deepEqual(scripted.calls, [
      {
        name: 'putUser',
        user: 'p.taskcluster-x-1',
        rest: [{ hashingAlgorithm: 'rabbit_password_hashing_sha256', tags: ['pulse-agent-store'] }],
      },
      ...Object.entries(permissionsOf({ id: 'pulse-agent', vhost: 'v', requestVhost: 'r' }, 'taskcluster-x')).map(
        (permissions) => ({ name: 'putPermissions', user: 'p.taskcluster-x-1', rest: permissions }),
      ),
    ]);
    assert.equal(Buffer.from(scripted.users.get('p.taskcluster-x-1') ?? '', 'base64').length, 36);
  });

  it('also grants permissions in a later generation while the record is not active: a revocation skips generations', async () => {
    const { scripted, make } = setUp();
    scripted.users.set('p.taskcluster-x-1', 'made by a claim that died before it granted anything');
    await make({ ...atGeneration(3), state: 'provisioning' }, 1);
    assert.ok(scripted.permitted.has('p.taskcluster-x-1'));
  });

  it('sets the configured limits', async () => {
    const { scripted, make } = setUp({ accountLimits: { 'max-channels': 9, 'max-connections': 3 } });
    await make(atGeneration(1), 1);
    assert.deepEqual(
      scripted.calls.slice(3).map(({ rest }) => rest),
      [
        ['max-connections', 3],
        ['max-channels', 9],
      ],
    );
  });

  it('does not write the permissions that an older account already has', async () => {
    for (const [generation, expected] of [
      [1, ['putUser', 'putPermissions', 'putPermissions']],
      [2, ['putUser', 'putPermissions', 'putPermissions']],
      [3, ['putUser']],
    ] as const) {
      const { scripted, make } = setUp({ accountLimits: { 'max-channels': 1 } });
      const slot = generation % 2 === 1 ? 1 : 2;
      scripted.users.set(`p.taskcluster-x-${slot}`, 'an older hash');
      await make(atGeneration(generation), slot);
      const names = scripted.calls.map(({ name }) => name).filter((name) => name !== 'putUserLimit');
      assert.deepEqual(names, expected);
      assert.equal(scripted.calls.length === 1, generation === 3);
    }
  });

  it('grants permissions to an account that was deleted, whatever its generation', async () => {
    const { scripted, make } = setUp();
    await make(atGeneration(9), 1);
    assert.ok(scripted.permitted.has('p.taskcluster-x-1'));
  });

  it('writes nothing after its window closed, not even the rest of an account', async () => {
    const { clock, scripted, make } = setUp();
    scripted.onCall = ({ name }) => {
      if (name === 'putPermissions') clock.advance(10_001);
    };
    await assert.rejects(make(atGeneration(1), 1), (error) => isAgentError(error, 'WindowClosed'));
    assert.deepEqual(
      scripted.calls.map(({ name }) => name),
      ['putUser'],
    );
  });

  it('derives a different password for each account and each generation', () => {
    const { accounts } = setUp();
    const passwords = [
      accounts.connectionStrings(atGeneration(2), 1).connectionString,
      accounts.connectionStrings(atGeneration(2), 2).connectionString,
      accounts.connectionStrings(atGeneration(3), 1).connectionString,
    ].map((text) => new URL(text).password);
    assert.equal(new Set(passwords).size, 3);
  });
});
