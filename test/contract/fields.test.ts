import assert from 'node:assert/strict';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import * as fc from 'fast-check';
import { contactField, formatInstant, parseInstant } from '../../src/contract/fields.ts';

function two(n: number): string {
  return String(n).padStart(2, '0');
}

function accepts(address: unknown): boolean {
  return contactField.safeParse(address).success;
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

describe('contacts', () => {
  const label = 'a'.repeat(63);

  it('are plain email addresses', () => {
    for (const address of [
      'team@example.com',
      'first.last+pulse@sub.example.co.uk',
      "o'brien@example.com",
      'team@example.1',
      `${'a'.repeat(64)}@example.com`,
      `a@${label}.${label}.${label}.${'a'.repeat(60)}`,
    ]) {
      assert.ok(accepts(address), address);
    }
    assert.ok(accepts(null));
  });

  it('have no display name, second address, control character, or text that could become a header', () => {
    for (const address of [
      '',
      'team',
      '@example.com',
      'team@',
      'a@b@c',
      'Team <team@example.com>',
      '<team@example.com>',
      'a@example.com, b@example.com',
      'a@example.com;b@example.com',
      'team@example.com\r\nBcc: all@example.com',
      'team@example.com\n',
      'team\0@example.com',
      '\tteam@example.com',
      'te am@example.com',
      '"te am"@example.com',
      'team(x)@example.com',
      'team@[127.0.0.1]',
      'team@-example.com',
      'team@example-.com',
      'team@example..com',
      'team@example.com.',
      '.team@example.com',
      'te..am@example.com',
      'team.@example.com',
      // Taskcluster Notify sends to domains with a dot only.
      'root@localhost',
      `a@${label}`,
      'tëam@example.com',
      'team@exämple.com',
      'team@ex_ample.com',
      `${'a'.repeat(65)}@example.com`,
      `a@${label}a.com`,
      `a@${label}.${label}.${label}.${'a'.repeat(61)}`,
      7,
      ['team@example.com'],
      { address: 'team@example.com' },
      undefined,
    ]) {
      assert.ok(!accepts(address), JSON.stringify(address));
    }
  });

  it('are those that Taskcluster Notify accepts, or fewer', () => {
    const notify = fullFormats.email;
    assert.ok(notify instanceof RegExp);
    const insert = fc.tuple(
      fc.nat({ max: 16 }),
      fc.string({ unit: 'grapheme-ascii', maxLength: 4 }),
      fc.nat({ max: 6 }),
    );
    fc.assert(
      fc.property(insert, ([at, text, gone]) => {
        const address = `team@example.com`.slice(0, at) + text + `team@example.com`.slice(at + gone);
        if (accepts(address)) assert.match(address, notify);
      }),
      { numRuns: 3000 },
    );
  });

  it('are printable ASCII without spaces for every input', () => {
    const insert = fc.tuple(fc.nat({ max: 16 }), fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(insert, ([at, text]) => {
        const address = `team@example.com`.slice(0, at) + text + `team@example.com`.slice(at);
        if (accepts(address)) assert.match(address, /^[\x21-\x7e]+$/);
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused quickly if they are malicious', () => {
    const started = performance.now();
    for (const hostile of [`${'a.'.repeat(8000)}@`, `a@${'a-'.repeat(8000)}`, `a@${'a.'.repeat(8000)}`])
      assert.ok(!accepts(hostile));
    assert.ok(performance.now() - started < 1000);
  });
});
