import assert from 'node:assert/strict';
import { toShortString, isShortString, MAX_SHORT_STRING_BYTES } from '../../src/requests/short-string.ts';

describe('short texts', () => {
  it('are measured in bytes', () => {
    assert.ok(isShortString('x'.repeat(MAX_SHORT_STRING_BYTES)));
    assert.ok(!isShortString('x'.repeat(MAX_SHORT_STRING_BYTES + 1)));
    assert.ok(isShortString('ä'.repeat(127)));
    assert.ok(!isShortString('ä'.repeat(128)));
  });

  it('are cut between characters', () => {
    assert.equal(toShortString('short'), 'short');
    assert.equal(toShortString('ä'.repeat(200)), 'ä'.repeat(127));
    assert.equal(toShortString('🐇'.repeat(100)), '🐇'.repeat(63));
    const grown = Buffer.alloc(MAX_SHORT_STRING_BYTES, 0xff).toString();
    assert.equal(toShortString(grown), grown.slice(0, 85));
  });
});
