import assert from 'node:assert/strict';
import { format, inspect } from 'node:util';
import { Secret } from '../../src/util/secret.ts';

describe('Secret', () => {
  const secret = new Secret('hidden');

  it('reveals its value on request', () => {
    assert.equal(secret.reveal(), 'hidden');
  });

  it('shows it in no other way', () => {
    const shown = [
      String(secret),
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ deep: [secret] }, { depth: 5, showHidden: true }),
      inspect(secret, { customInspect: false, showHidden: true }),
      format('%s %o %j %O', secret, secret, secret, secret),
      Object.getOwnPropertyNames(secret).join(),
      new Error(String(secret)).stack,
    ].join('\n');
    assert.doesNotMatch(shown, /hidden/);
    assert.equal(JSON.stringify({ secret }), '{"secret":"[secret]"}');
    assert.equal(inspect(secret), '[secret]');
  });
});
