import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import { isAgentError } from '../../../src/util/agent-errors.ts';
import { createKeyring, type PasswordOrigin } from '../../../src/namespaces/accounts/keyring.ts';
import { Secret } from '../../../src/util/secret.ts';

const CURRENT = 'current-agent-secret-with-32-chars';
const PREVIOUS = 'previous-agent-secret-with-32-chars';

/** Computed by an independent implementation of HKDF. */
const GOLDEN_PASSWORD = 'McGpJB15t-vQMfqRFbWUC1rqwb8JZNojmiJc18pSG3g';
const GOLDEN_KEY_ID = 'xUqNv-zBM6M';

/** HKDF-SHA256 without salt, of node. */
function hkdf(secret: string, info: string, bytes: number): string {
  return Buffer.from(hkdfSync('sha256', secret, '', info, bytes)).toString('base64url');
}

describe('createKeyring', () => {
  const keyring = createKeyring(new Secret(CURRENT), [new Secret(PREVIOUS)]);
  const origin: PasswordOrigin = {
    secretId: keyring.currentSecretId,
    storeId: 'store',
    incarnation: 'life',
    username: 'taskcluster-x-1',
    generation: 1,
  };
  const derive = (given: Partial<PasswordOrigin> = {}): string => keyring.derive({ ...origin, ...given }).reveal();

  it('derives 32 bytes by HKDF-SHA256 over the JSON of the origin', () => {
    const info = '["pulse-agent/v1","store","life","taskcluster-x-1",1]';
    assert.equal(derive(), hkdf(CURRENT, info, 32));
    assert.equal(derive(), derive());
    assert.match(derive(), /^[\w-]{43}$/);
  });

  it('derives the same value in every version: another one would lock out every client', () => {
    assert.equal(derive(), GOLDEN_PASSWORD);
    assert.equal(keyring.currentSecretId, GOLDEN_KEY_ID);
  });

  it('derives another password for every other store, incarnation, account and generation', () => {
    const passwords = [
      derive(),
      derive({ storeId: 'other' }),
      derive({ incarnation: 'other' }),
      derive({ username: 'taskcluster-x-2' }),
      derive({ generation: 3 }),
      derive({ generation: 11 }),
      // Fields whose plain concatenation would be equal.
      derive({ storeId: 'storelife', incarnation: '' }),
      derive({ storeId: 'store","life', incarnation: '' }),
    ];
    assert.equal(new Set(passwords).size, passwords.length);
  });

  it('derives with the secret that is named, also with a previous one', () => {
    const secretId = createKeyring(new Secret(PREVIOUS), []).currentSecretId;
    assert.notEqual(secretId, keyring.currentSecretId);
    assert.ok(keyring.has(secretId));
    assert.equal(derive({ secretId }), hkdf(PREVIOUS, '["pulse-agent/v1","store","life","taskcluster-x-1",1]', 32));
  });

  it('names secrets by ids that reveal nothing of them', () => {
    assert.match(keyring.currentSecretId, /^[\w-]{11}$/);
    assert.equal(keyring.currentSecretId, hkdf(CURRENT, '["pulse-agent/v1","key id"]', 8));
  });

  it('throws for a secret that it lacks, and the error contains no secret', () => {
    assert.equal(keyring.has('absent'), false);
    assert.throws(
      () => derive({ secretId: 'absent' }),
      (error: unknown) => {
        assert.ok(isAgentError(error, 'SecretMissing'));
        assert.match(error.message, /absent.*taskcluster-x-1.*PULSE_AGENT_PREVIOUS_SECRETS/);
        assert.doesNotMatch(error.message, /agent-secret/);
        return true;
      },
    );
  });

  it('returns passwords that do not print', () => {
    assert.equal(String(keyring.derive(origin)), '[secret]');
  });
});
