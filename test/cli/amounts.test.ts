import assert from 'node:assert/strict';
import { bytesText, instantToSecond } from '../../src/cli/amounts.ts';

describe('amounts for people', () => {
  it('sizes in the largest unit', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0 bytes'],
      [512, '512 bytes'],
      [1536, '1.5 KiB'],
      [2 ** 30, '1 GiB'],
      [-(2 ** 20), '-1 MiB'],
      [2 ** 52, '4096 TiB'],
    ];
    for (const [bytes, text] of cases) assert.equal(bytesText(bytes), text);
  });

  it('instants to the second', () => {
    assert.equal(instantToSecond(Date.parse('2026-11-24T12:00:00.999Z')), '2026-11-24T12:00:00Z');
  });
});
