import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { inspect, promisify } from 'node:util';
import * as fc from 'fast-check';
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose';
import { WireError } from '../../src/contract/wire-errors.ts';
import { parseRequestBody } from '../../src/contract/messages.ts';
import { isUsablePoint, type ReplyKey } from '../../src/contract/reply-key.ts';
import { generateReplyKey, open, seal } from '../../src/contract/sealing.ts';
import { vectors } from './vectors.ts';

const refused = (error: unknown): boolean =>
  error instanceof WireError && error.code === 'InternalServerError' && /cannot be opened/.test(error.message);

function parse(value: unknown): unknown {
  const body = JSON.stringify({ namespace: 'taskcluster-x', replyKey: value });
  return parseRequestBody('claim-namespace', Buffer.from(body)).replyKey;
}

/** A reply key whose private part other code can use. */
function keyPair(): { publicKey: ReplyKey; privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  return { publicKey: { kty: 'OKP', crv: 'X25519', x }, privateKey };
}

/** As another implementation seals. */
async function sealWithJose(
  json: string,
  publicKey: ReplyKey,
  header: object = {},
  parties: object = {},
): Promise<string> {
  return await new CompactEncrypt(Buffer.from(json))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', ...header })
    .setKeyManagementParameters(parties)
    .encrypt(await importJWK({ ...publicKey }, 'ECDH-ES'));
}

async function openWithJose(jwe: string, privateKey: KeyObject): Promise<string> {
  const { plaintext } = await compactDecrypt(jwe, privateKey, {
    keyManagementAlgorithms: ['ECDH-ES'],
    contentEncryptionAlgorithms: ['A256GCM'],
  });
  return Buffer.from(plaintext).toString();
}

/** The header of `jwe`, changed. The rest stays, and fits it no more. */
function withHeader(jwe: string, change: (header: Record<string, unknown>) => unknown): string {
  const [header = '', ...rest] = jwe.split('.');
  const changed = change(JSON.parse(Buffer.from(header, 'base64url').toString()));
  return [Buffer.from(JSON.stringify(changed)).toString('base64url'), ...rest].join('.');
}

describe('sealed results', () => {
  it('open with the private key, for every plaintext, in this implementation and in another one', async () => {
    const { publicKey, privateKey } = keyPair();
    await fc.assert(
      fc.asyncProperty(fc.json(), async (json) => {
        const jwe = seal(json, publicKey);
        assert.equal(Buffer.from(open(jwe, privateKey)).toString(), json);
        assert.equal(await openWithJose(jwe, privateKey), json);
        const other = await sealWithJose(json, publicKey);
        assert.equal(Buffer.from(open(other, privateKey)).toString(), json);
        assert.equal(other.length, jwe.length);
      }),
      { numRuns: 100 },
    );
  });

  it('use ECDH-ES with A256GCM and a new ephemeral key, with no other header', () => {
    const { publicKey } = generateReplyKey();
    const headers = [seal('{}', publicKey), seal('{}', publicKey)].map((jwe) => {
      assert.match(jwe, /^[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/);
      return JSON.parse(Buffer.from(jwe.split('.')[0] ?? '', 'base64url').toString());
    });
    for (const { alg, enc, epk, ...rest } of headers) {
      assert.deepEqual([alg, enc, epk.crv, rest], ['ECDH-ES', 'A256GCM', 'X25519', {}]);
      assert.deepEqual(Object.keys(epk).toSorted(), ['crv', 'kty', 'x']);
    }
    assert.notEqual(headers[0].epk.x, headers[1].epk.x);
  });

  it('do not open with another key, modified, or as garbage', () => {
    const [mine, other] = [generateReplyKey(), generateReplyKey()];
    const jwe = seal('{"connectionString":"amqp://x"}', mine.publicKey);
    assert.throws(() => other.open(jwe), refused);
    for (let at = 0; at < jwe.length; at += 1) {
      for (const instead of jwe[at] === '.' ? ['', 'A'] : ['', 'A', 'B', '.', '+', '=']) {
        const changed = `${jwe.slice(0, at)}${instead}${jwe.slice(at + 1)}`;
        if (changed !== jwe) assert.throws(() => mine.open(changed), refused, `${instead} at ${at} of ${jwe}`);
      }
    }
    const parts = jwe.split('.');
    const garbage = ['', '....', 'a.b.c.d.e', '{}', parts.slice(0, 4).join('.'), `${jwe}.`, `${jwe}\n`, ` ${jwe}`];
    for (const text of garbage) assert.throws(() => mine.open(text), refused, text);
    assert.equal(Buffer.from(mine.open(jwe)).toString(), '{"connectionString":"amqp://x"}');
  });

  it('do not open with a tag or an initialization vector of another length', () => {
    const { publicKey, open: openReply } = generateReplyKey();
    const parts = seal('{}', publicKey).split('.');
    const [iv = '', tag = ''] = [parts[2], parts[4]];
    const ofLength = (text: string, bytes: number): string =>
      Buffer.concat([Buffer.from(text, 'base64url'), Buffer.alloc(bytes)])
        .subarray(0, bytes)
        .toString('base64url');
    for (const bytes of [0, 4, 8, 12, 15, 17]) {
      assert.throws(() => openReply(parts.with(4, ofLength(tag, bytes)).join('.')), refused, `a tag of ${bytes}`);
    }
    for (const bytes of [0, 8, 11, 13, 16]) {
      assert.throws(() => openReply(parts.with(2, ofLength(iv, bytes)).join('.')), refused, `a vector of ${bytes}`);
    }
  });

  it('do not open when sealed in another way for the same key', async () => {
    const { publicKey, privateKey } = keyPair();
    const jwes = await Promise.all([
      sealWithJose('{}', publicKey, { alg: 'ECDH-ES+A256KW' }),
      sealWithJose('{}', publicKey, { enc: 'A128GCM' }),
      sealWithJose('{}', publicKey, { enc: 'A256CBC-HS512' }),
      sealWithJose('{}', publicKey, { zip: 'DEF' }),
      sealWithJose('{}', publicKey, {}, { apu: Buffer.from('me') }),
      sealWithJose('{}', publicKey, {}, { apv: Buffer.from('you') }),
    ]);
    for (const jwe of jwes) assert.throws(() => open(jwe, privateKey), refused, jwe);
  });

  it('do not open with a header that says something else', () => {
    const { publicKey, privateKey } = keyPair();
    const jwe = seal('{}', publicKey);
    const epk = { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) };
    const changes: ((header: Record<string, unknown>) => unknown)[] = [
      (header) => [header],
      () => null,
      (header) => ({ ...header, epk }),
      (header) => ({ ...header, epk: undefined }),
      (header) => ({ ...header, epk: { ...epk, x: publicKey.x, crv: 'P-256' } }),
      (header) => ({ ...header, alg: 'none' }),
      (header) => ({ ...header, crit: ['x'], x: 1 }),
      (header) => ({ ...header, zip: 'DEF' }),
      (header) => ({ ...header, kid: 'not covered by the tag' }),
    ];
    for (const change of changes)
      assert.throws(() => open(withHeader(jwe, change), privateKey), refused, String(change));
  });

  it('open with a header that has members without a meaning here', async () => {
    const { publicKey, privateKey } = keyPair();
    const jwe = await sealWithJose('{"later":true}', publicKey, { kid: 'k', typ: 'JWE' });
    assert.equal(Buffer.from(open(jwe, privateKey)).toString(), '{"later":true}');
  });

  it('use a new key for each request, whose private part cannot be reached', () => {
    const [first, second] = [generateReplyKey(), generateReplyKey()];
    assert.notEqual(first.publicKey.x, second.publicKey.x);
    assert.deepEqual(Object.keys(first), ['publicKey', 'open']);
    assert.deepEqual(JSON.parse(JSON.stringify(first)), { publicKey: first.publicKey });
    assert.doesNotMatch(inspect(first, { depth: 9, showHidden: true }), /private|KeyObject/i);
    assert.deepEqual(Object.keys(first.publicKey).toSorted(), ['crv', 'kty', 'x']);
    const body = { namespace: 'taskcluster-x', replyKey: first.publicKey };
    assert.deepEqual(parseRequestBody('claim-namespace', Buffer.from(JSON.stringify(body))), body);
  });

  it('are refused for a point of small order', () => {
    assert.throws(() => seal('{}', { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) }), { code: 'InputError' });
  });

  it('are made however often the garbage is collected meanwhile', async function () {
    this.timeout(120_000);
    // In a process of its own, which a deadlock would not let end: exporting a KeyObject from a new pair met one in a second.
    const sealing = new URL('../../src/contract/sealing.ts', import.meta.url).href;
    const script = `
      const { generateReplyKey, seal } = await import(${JSON.stringify(sealing)});
      let reply = generateReplyKey();
      for (let made = 0; made < 15_000; made += 1) {
        if (made % 2 === 0) reply = generateReplyKey();
        else seal('{}', reply.publicKey);
      }
      console.log(Buffer.from(reply.open(seal('{"made":true}', reply.publicKey))).toString());`;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--max-semi-space-size=1', '--import', 'tsx', '--input-type=module', '--eval', script],
      { timeout: 60_000, killSignal: 'SIGKILL' },
    );
    assert.equal(stdout, '{"made":true}\n');
  });

  it('open in another implementation for the published key', async () => {
    const { replyKey, privateKey, plaintext } = vectors.sealed;
    const key = createPrivateKey({ key: { ...privateKey }, format: 'jwk' });
    assert.equal(await openWithJose(seal(plaintext, replyKey), key), plaintext);
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

  it('is usable exactly when OpenSSL agrees on a secret with it', () => {
    const { privateKey } = generateKeyPairSync('x25519');
    const agrees = (x: string): boolean => {
      const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
      try {
        return diffieHellman({ privateKey, publicKey }).some((byte) => byte !== 0);
      } catch {
        return false;
      }
    };
    const check = (bytes: Uint8Array): void => {
      for (const highest of [0, 0x80]) {
        const last = (bytes[31] ?? 0) % 0x80;
        const x = Buffer.from([...bytes.slice(0, 31), last + highest]).toString('base64url');
        assert.equal(isUsablePoint(x), agrees(x), x);
      }
    };
    const small = vectors.refusedReplyKeys.filter(({ why }) => why.includes('small order'));
    assert.equal(small.length, 7);
    for (const { replyKey: point } of small) check(Buffer.from(String(point['x']), 'base64url'));
    // The least numbers, and the greatest, which are p and more in disguise.
    for (let low = 0; low < 256; low += 1) {
      check(Uint8Array.from([low, ...Array<number>(31).fill(0)]));
      check(Uint8Array.from([low, ...Array<number>(30).fill(255), 127]));
    }
    fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), check));
  });
});
