import assert from 'node:assert/strict';
import { asShortText, isShortText, MAX_SHORT_TEXT_BYTES } from '../../src/requests/short-text.ts';

describe('short texts', () => {
  it('are measured in bytes', () => {
    assert.ok(isShortText('x'.repeat(MAX_SHORT_TEXT_BYTES)));
    assert.ok(!isShortText('x'.repeat(MAX_SHORT_TEXT_BYTES + 1)));
    assert.ok(isShortText('ä'.repeat(127)));
    assert.ok(!isShortText('ä'.repeat(128)));
  });

  it('are cut between characters', () => {
    assert.equal(asShortText('short'), 'short');
    assert.equal(asShortText('ä'.repeat(200)), 'ä'.repeat(127));
    assert.equal(asShortText('🐇'.repeat(100)), '🐇'.repeat(63));
    const grown = Buffer.alloc(MAX_SHORT_TEXT_BYTES, 0xff).toString();
    assert.equal(asShortText(grown), grown.slice(0, 85));
  });
});
