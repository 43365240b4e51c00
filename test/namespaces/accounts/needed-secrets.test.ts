import assert from 'node:assert/strict';
import { addMissingSecrets, neededSecretIds } from '../../../src/namespaces/accounts/needed-secrets.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { recordOf } from '../../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');

describe('neededSecretIds', () => {
  const slots: NamespaceRecord['slots'] = [
    { generation: 3, secretId: 'active', promisedUntilMs: 0 },
    { generation: 2, secretId: 'standby', promisedUntilMs: 0 },
  ];
  const needed = (given: Partial<NamespaceRecord>) => [
    ...neededSecretIds(recordOf(NOW, { generation: 3, slots, nextSecretId: 'next', ...given })),
  ];

  it('names the secrets of the active account and of the next generation', () => {
    assert.deepEqual(needed({}), ['active', 'next']);
    assert.deepEqual(needed({ generation: 2 }), ['standby', 'next']);
  });

  it('names that of the standby account, too, while a revocation has to check both', () => {
    assert.deepEqual(needed({ recheckAtMs: NOW }), ['active', 'standby', 'next']);
    assert.deepEqual(needed({ recheckAtMs: NOW, state: 'provisioning' }), ['active', 'standby', 'next']);
    assert.deepEqual(needed({ recheckAtMs: NOW, state: 'expiring' }), ['active', 'next']);
  });
});

describe('addMissingSecrets', () => {
  it('counts a namespace once for each secret that the keyring lacks', () => {
    const slots: NamespaceRecord['slots'] = [
      { generation: 1, secretId: 'old', promisedUntilMs: 0 },
      { generation: 0, secretId: 'old', promisedUntilMs: 0 },
    ];
    const records = ['old', 'new'].map((nextSecretId) =>
      recordOf(NOW, { generation: 1, slots, nextSecretId: nextSecretId }),
    );
    const missing = new Map([['older', 1]]);
    addMissingSecrets(missing, records, { has: (id) => id === 'new' });
    assert.deepEqual(Object.fromEntries(missing), { older: 1, old: 2 });
  });
});
