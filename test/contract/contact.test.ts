import assert from 'node:assert/strict';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import * as fc from 'fast-check';
import { contactField, parseContact } from '../../src/contract/contact.ts';
import { vectors } from './vectors.ts';

function accepts(address: unknown): boolean {
  return contactField.safeParse(address).success;
}

function refusal(contact: string): string | undefined {
  return contactField.safeParse(contact).error?.issues[0]?.message;
}

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

describe('contacts other than mail addresses', () => {
  it('are the ids of Matrix rooms and of Slack channels', () => {
    assert.deepEqual(parseContact('matrix:!whDRjjSmICCgrhFHsQ:mozilla.org'), {
      medium: 'matrix',
      address: '!whDRjjSmICCgrhFHsQ:mozilla.org',
    });
    assert.deepEqual(parseContact('slack:C0123'), { medium: 'slack', address: 'C0123' });
    assert.deepEqual(parseContact('team@example.com'), { medium: 'mail', address: 'team@example.com' });
    assert.equal(parseContact('irc:#team'), undefined);
    for (const { contact, medium } of vectors.contacts) {
      assert.ok(accepts(contact), contact);
      assert.equal(parseContact(contact)?.medium, medium, contact);
    }
  });

  it('are refused where Notify does not serve them, with a sentence about that form', () => {
    assert.match(refusal('matrix:#room:example.org') ?? '', /^must name a Matrix room by its id, .* serves no aliases/);
    assert.match(refusal('slack:#general') ?? '', /^must name a Slack channel by its id/);
    assert.match(refusal('irc:#team') ?? '', /^must be a plain mail address/);
    for (const contact of vectors.refusedContacts) {
      assert.ok(!accepts(contact), contact);
      assert.equal(parseContact(contact), undefined, contact);
    }
  });

  it('have one form each, and are part of a scope as they are', () => {
    const text = fc.string({ unit: fc.constantFrom(...Array.from('!#:.@[]abC09-_/~+ *<\u0000ü')), maxLength: 20 });
    fc.assert(
      fc.property(fc.constantFrom('matrix:', 'matrix:!', 'slack:', 'slack:C', ''), text, (start, rest) => {
        const contact = start + rest;
        const parsed = parseContact(contact);
        assert.equal(parsed !== undefined, accepts(contact), contact);
        if (parsed === undefined) return;
        assert.match(parsed.address, /^[\x21-\x7e]+$/);
        assert.ok(!parsed.address.includes('*') || parsed.medium === 'mail');
        if (parsed.medium !== 'mail') assert.ok(start !== '' || /^(matrix|slack):/.test(contact));
      }),
      { numRuns: 3000 },
    );
  });

  it('are refused quickly if they are malicious', () => {
    const started = performance.now();
    for (const hostile of [
      `matrix:!${'a'.repeat(16_000)}`,
      `matrix:!a:${'a-.'.repeat(5000)}`,
      `slack:${'C'.repeat(16_000)}`,
    ])
      assert.ok(!accepts(hostile));
    assert.ok(performance.now() - started < 1000);
  });
});
