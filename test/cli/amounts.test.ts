import assert from 'node:assert/strict';
import { bytesText, durationText, instantToSecond } from '../../src/cli/amounts.ts';

describe('amounts for people', () => {
  it('durations in at most two units', () => {
    const cases: readonly (readonly [number, string])[] = [
      [-5, '0 s'],
      [40_400, '40 s'],
      [12 * 60_000 + 20_000, '12 min'],
      [3 * 3_600_000, '3 h'],
      [3 * 3_600_000 + 20 * 60_000, '3 h 20 min'],
      [52 * 3_600_000 + 59 * 60_000, '2 d 4 h'],
      [31 * 86_400_000, '31 d'],
    ];
    for (const [ms, text] of cases) assert.equal(durationText(ms), text);
  });

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
