import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { CompactEncrypt, importJWK } from 'jose';
import { WireError } from '../../src/contract/wire-errors.ts';
import { parseRequestBody } from '../../src/contract/messages.ts';
import { isUsablePoint } from '../../src/contract/reply-key.ts';
import { generateReplyKey, open, seal } from '../../src/contract/sealing.ts';
import { vectors } from './vectors.ts';

const refused = (error: unknown): boolean =>
  error instanceof WireError && error.code === 'InternalServerError' && /cannot be opened/.test(error.message);

function parse(value: unknown): unknown {
  const body = JSON.stringify({ namespace: 'taskcluster-x', replyKey: value });
  return parseRequestBody('claim-namespace', Buffer.from(body)).replyKey;
}

describe('sealed results', () => {
  it('open with the private key, for every plaintext', async () => {
    const { publicKey, privateKey } = await generateReplyKey();
    await fc.assert(
      fc.asyncProperty(fc.json(), async (json) => {
        const jwe = await seal(json, publicKey);
        assert.equal(Buffer.from(await open(jwe, privateKey)).toString(), json);
      }),
      { numRuns: 30 },
    );
  });

  it('use ECDH-ES with A256GCM and a new ephemeral key, with no other header', async () => {
    const { publicKey } = await generateReplyKey();
    const headers = (await Promise.all([seal('{}', publicKey), seal('{}', publicKey)])).map((jwe) => {
      assert.match(jwe, /^[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/);
      return JSON.parse(Buffer.from(jwe.split('.')[0] ?? '', 'base64url').toString());
    });
    for (const { alg, enc, epk, ...rest } of headers) {
      assert.deepEqual([alg, enc, epk.crv, rest], ['ECDH-ES', 'A256GCM', 'X25519', {}]);
    }
    assert.notEqual(headers[0].epk.x, headers[1].epk.x);
  });

  it('do not open with another key, modified, or as garbage', async () => {
    const [mine, other] = await Promise.all([generateReplyKey(), generateReplyKey()]);
    const jwe = await seal('{"connectionString":"amqp://x"}', mine.publicKey);
    await assert.rejects(open(jwe, other.privateKey), refused);
    const parts = jwe.split('.');
    for (const index of [0, 2, 3, 4]) {
      const part = parts[index] ?? '';
      const changed = parts.with(index, (part.startsWith('A') ? 'B' : 'A') + part.slice(1));
      await assert.rejects(open(changed.join('.'), mine.privateKey), refused);
    }
    for (const garbage of ['', '....', 'a.b.c.d.e', '{}', parts.slice(0, 4).join('.')]) {
      await assert.rejects(open(garbage, mine.privateKey), refused);
    }
  });

  it('do not open when sealed with another algorithm for the same key', async () => {
    const { publicKey, privateKey } = await generateReplyKey();
    const key = await importJWK({ ...publicKey }, 'ECDH-ES');
    for (const header of [
      { alg: 'ECDH-ES+A256KW', enc: 'A256GCM' },
      { alg: 'ECDH-ES', enc: 'A128GCM' },
      { alg: 'ECDH-ES', enc: 'A256CBC-HS512' },
      { alg: 'ECDH-ES', enc: 'A256GCM', zip: 'DEF' },
    ]) {
      const jwe = await new CompactEncrypt(Buffer.from('{}'))
        .setProtectedHeader(header)
        .encrypt(key)
        .catch(() => 'not made');
      await assert.rejects(open(jwe, privateKey), refused, JSON.stringify(header));
    }
  });

  it('use a new key for each request, whose private part cannot be exported', async () => {
    const [first, second] = await Promise.all([generateReplyKey(), generateReplyKey()]);
    assert.notEqual(first.publicKey.x, second.publicKey.x);
    assert.equal(first.privateKey.extractable, false);
    assert.deepEqual(Object.keys(first.publicKey).toSorted(), ['crv', 'kty', 'x']);
    const body = { namespace: 'taskcluster-x', replyKey: first.publicKey };
    assert.deepEqual(parseRequestBody('claim-namespace', Buffer.from(JSON.stringify(body))), body);
  });

  it('are refused for a point of small order', async () => {
    await assert.rejects(seal('{}', { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) }), { code: 'InputError' });
  });
});

describe('replyKey', () => {
  const { replyKey } = vectors.sealed;

  it('may have members that libraries add, which are dropped', () => {
    const extended = { ...replyKey, kid: 'k', use: 'enc', alg: 'ECDH-ES', key_ops: [], ext: true };
    assert.deepEqual(parse(extended), replyKey);
  });

  it('is refused with a message that names the member', () => {
    const cases: [unknown, RegExp][] = [
      [null, /^The field replyKey must be a public JWK/],
      ['x', /^The field replyKey must be a public JWK/],
      [[], /^The field replyKey must be a public JWK/],
      [{}, /^The field replyKey\.kty is missing/],
      [{ kty: 'OKP', crv: 'X25519' }, /^The field replyKey\.x is missing/],
      [{ ...replyKey, kty: 'EC' }, /^The field replyKey\.kty must be "OKP"/],
      [{ ...replyKey, crv: 'P-256' }, /^The field replyKey\.crv must be "X25519"/],
      [{ ...replyKey, d: 'x' }, /^The field replyKey holds the private member d/],
      [{ ...replyKey, d: null }, /^The field replyKey holds the private member d/],
      [{ ...replyKey, use: 'sig' }, /^The field replyKey\.use must be "enc"/],
      [{ ...replyKey, alg: 'ECDH-ES+A256KW' }, /^The field replyKey\.alg must be "ECDH-ES"/],
      [{ ...replyKey, y: 'x' }, /^The field "replyKey\.y" is unknown/],
      [{ ...replyKey, x: 7 }, /^The field replyKey\.x must be/],
      [{ ...replyKey, x: replyKey.x.replaceAll(/./g, '+') }, /^The field replyKey\.x must be/],
    ];
    for (const [value, message] of cases) assert.throws(() => parse(value), { code: 'InputError', message });
  });

  it('never throws, for every x', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 64 }), (x) => !isUsablePoint(x)));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32, min: 1 }), (x) =>
        isUsablePoint(Buffer.from(x).toString('base64url')),
      ),
    );
  });
});
