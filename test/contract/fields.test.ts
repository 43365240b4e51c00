import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { formatInstant, parseInstant } from '../../src/contract/fields.ts';

function two(n: number): string {
  return String(n).padStart(2, '0');
}

describe('instants', () => {
  it('are formatted like Date.prototype.toISOString', () => {
    const ms = fc.integer({ min: Date.UTC(1970), max: Date.UTC(9999, 11, 31) });
    fc.assert(fc.property(ms, (instant) => parseInstant(formatInstant(instant)) === instant));
  });

  it("are parsed from Python's isoformat, with and without microseconds", () => {
    const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
    const micros = fc.integer({ min: 1, max: 999_999 });
    fc.assert(
      fc.property(seconds, micros, (second, micro) => {
        const whole = new Date(second * 1000).toISOString().slice(0, 19);
        assert.equal(parseInstant(`${whole}+00:00`), second * 1000);
        const text = `${whole}.${String(micro).padStart(6, '0')}+00:00`;
        assert.equal(parseInstant(text), second * 1000 + Math.ceil(micro / 1000));
      }),
    );
  });

  it('round fractions of a millisecond up, also into the next second', () => {
    assert.equal(parseInstant('2026-11-24T12:00:00.999999Z'), Date.UTC(2026, 10, 24, 12, 0, 1));
    assert.equal(parseInstant('2026-11-24T12:00:00.1Z'), Date.UTC(2026, 10, 24, 12) + 100);
  });

  it('end with the year 9999, the last one with four digits', () => {
    assert.equal(parseInstant('9999-12-31T23:59:59.999Z'), 253_402_300_799_999);
    assert.equal(parseInstant('9999-12-31T23:59:59.9999Z'), undefined);
  });

  it('are valid for every day of the calendar and for no other', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 9999 }),
        fc.nat({ max: 14 }),
        fc.nat({ max: 33 }),
        (year, month, day) => {
          const date = new Date(Date.UTC(year, month - 1, day));
          const exists =
            date.getUTCMonth() === month - 1 && date.getUTCDate() === day && date.getUTCFullYear() === year;
          const parsed = parseInstant(`${year}-${two(month)}-${two(day)}T00:00:00Z`);
          assert.equal(parsed, exists ? date.getTime() : undefined);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('are never parsed from any other text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const ms = parseInstant(text);
        assert.ok(ms === undefined || formatInstant(ms).startsWith(text.slice(0, 18)));
      }),
    );
  });
});
