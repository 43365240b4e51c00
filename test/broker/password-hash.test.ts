import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { hashMatches, hashPassword } from '../../src/broker/password-hash.ts';
import { Secret } from '../../src/util/secret.ts';

describe('password hash', () => {
  // The worked example of RabbitMQ's documentation.
  const documented = 'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR';

  it('has the documented form', () => {
    assert.equal(hashPassword(new Secret('test12'), Buffer.from('908dc60a', 'hex')), documented);
    assert.ok(hashMatches(documented, new Secret('test12')));
  });

  it('matches its own password with any salt, and no other', () => {
    const hash = hashPassword(new Secret('p\u00e4ssword'), randomBytes(4));
    assert.ok(hashMatches(hash, new Secret('p\u00e4ssword')));
    assert.ok(!hashMatches(hash, new Secret('password')));
  });

  it('rejects a salt of another size and a hash of another kind', () => {
    assert.throws(() => hashPassword(new Secret('x'), Buffer.alloc(5)), RangeError);
    for (const hash of ['', 'kI3GCg==', Buffer.alloc(68).toString('base64')]) {
      assert.ok(!hashMatches(hash, new Secret('test12')), hash);
    }
  });
});
