import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import hawk from 'hawk';
import { WireError } from '../../src/contract/wire-errors.ts';
import {
  hashesEqual,
  nonceKey,
  payloadHash,
  readAuthorization,
  signedResource,
  signRequest,
  type SigningInput,
} from '../../src/contract/signature.ts';
import { vectors } from './vectors.ts';

const key = 'example-access-token';
const input: SigningInput = {
  method: 'claim-namespace',
  body: Buffer.from('{"namespace":"taskcluster-x"}'),
  replyTo: 'amq.rabbitmq.reply-to',
  correlationId: 'c-1',
  audience: 'pulse-agent',
  credentials: { clientId: 'project/x', accessToken: key },
};

/** Verifies with hawk's server code, as Taskcluster does. */
async function authenticate(
  authorization: string,
  resource: string,
  host = 'pulse-agent',
  offsetMs = 0,
): Promise<{ artifacts: { hash?: string | undefined; ext?: string | undefined } }> {
  const request = { method: 'POST', url: resource, host, port: 443, authorization };
  const credentials = { id: 'x', key, algorithm: 'sha256' as const, user: '' };
  // @ts-expect-error hawk accepts such a request, but its types do not
  return await hawk.server.authenticate(request, async () => credentials, { localtimeOffsetMsec: offsetMs });
}

function sign(credentials: object): unknown {
  return signRequest({ ...input, credentials: { ...input.credentials, ...credentials } });
}

function refusal(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, String(error));
    assert.equal(error.code, 'AuthenticationFailed');
    assert.match(error.message, pattern);
    return true;
  };
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 });

describe('signRequest', () => {
  it('makes a header that hawk accepts for the same resource, with the hash of the body', async () => {
    const { authorization } = signRequest(input);
    const resource = signedResource(input.method, input.replyTo, input.correlationId);
    const { artifacts } = await authenticate(authorization, resource);
    assert.equal(artifacts.hash, payloadHash(input.body));
  });

  it('makes one for every reply address, correlation id and body', async () => {
    await fc.assert(
      fc.asyncProperty(text, text, fc.uint8Array(), async (replyTo, correlationId, body) => {
        const { authorization } = signRequest({ ...input, replyTo, correlationId, body });
        await authenticate(authorization, signedResource(input.method, replyTo, correlationId));
        assert.equal(readAuthorization(authorization).hash, payloadHash(body));
      }),
    );
  });

  it('covers the method, both parts of the resource and the audience', async () => {
    const { authorization } = signRequest(input);
    const resource = signedResource(input.method, input.replyTo, input.correlationId);
    for (const [other, host] of [
      [signedResource('release-namespace', input.replyTo, input.correlationId), 'pulse-agent'],
      [signedResource(input.method, 'queue/taskcluster-x/a', input.correlationId), 'pulse-agent'],
      [signedResource(input.method, input.replyTo, 'c-2'), 'pulse-agent'],
      [resource, 'pulse-staging'],
    ] as const) {
      await assert.rejects(authenticate(authorization, other, host), /Bad mac/);
    }
  });

  it('uses the given time and nonce, and new ones otherwise', () => {
    const fixed = readAuthorization(
      signRequest({ ...input, timestampSeconds: 1_795_521_600, nonce: 'n' }).authorization,
    );
    assert.deepEqual([fixed.ts, fixed.nonce], ['1795521600', 'n']);
    const before = Math.floor(Date.now() / 1000);
    const fresh = [1, 2].map(() => readAuthorization(signRequest(input).authorization));
    assert.ok(Number(fresh[0]?.ts) >= before && Number(fresh[0]?.ts) <= Date.now() / 1000);
    assert.notEqual(fresh[0]?.nonce, fresh[1]?.nonce);
    assert.equal(Buffer.from(fresh[0]?.nonce ?? '', 'base64url').length, 16);
  });

  it('puts a certificate into ext as an object, also if it is text', () => {
    const certificate = { version: 1, seed: 's' };
    for (const given of [certificate, JSON.stringify(certificate)]) {
      const credentials = { ...input.credentials, certificate: given, authorizedScopes: ['a'] };
      const { ext = '' } = readAuthorization(signRequest({ ...input, credentials }).authorization);
      assert.deepEqual(JSON.parse(Buffer.from(ext, 'base64').toString()), { certificate, authorizedScopes: ['a'] });
      assert.equal(Buffer.from(ext, 'base64').toString('base64'), ext);
    }
    assert.equal(readAuthorization(signRequest(input).authorization).ext, undefined);
  });

  it('keeps empty authorizedScopes, which remove all scopes', () => {
    const { ext = '' } = readAuthorization(
      signRequest({ ...input, credentials: { ...input.credentials, authorizedScopes: [] } }).authorization,
    );
    assert.deepEqual(JSON.parse(Buffer.from(ext, 'base64').toString()), { authorizedScopes: [] });
  });

  it('refuses credentials that no agent would accept, without secrets in the error', () => {
    const scopes = Array.from({ length: 200 }, (_, n) => `pulse:namespace:${n}`);
    assert.throws(
      () => sign({ authorizedScopes: scopes }),
      refusal(/at most 4096 characters: use credentials with fewer scopes/),
    );
    assert.throws(
      () => sign({ certificate: '{"seed": "hunter2"' }),
      (error) => refusal(/certificate/)(error) && !/hunter2/.test(String(error)),
    );
    assert.throws(() => sign({ certificate: '"text"' }), refusal(/certificate/));
    for (const clientId of ['a", ext="x', 'a b', 'a~b', 'a,b', 'ä', '']) {
      assert.throws(() => sign({ clientId }), refusal(/clientId .* A-Z a-z 0-9/), clientId);
    }
    assert.throws(() => signRequest({ ...input, timestampSeconds: 1.5 }), refusal(/ten digits/));
    assert.throws(() => signRequest({ ...input, replyTo: '\ud800' }), { code: 'InputError' });
  });
});

describe('payloadHash', () => {
  it('equals the one of hawk for text', () => {
    fc.assert(
      fc.property(text, (body) => {
        assert.equal(
          payloadHash(Buffer.from(body)),
          hawk.crypto.calculatePayloadHash(body, 'sha256', 'application/json'),
        );
      }),
    );
  });

  it('hashes bytes: two bodies that are not UTF-8 differ', () => {
    assert.notEqual(payloadHash(Buffer.from([0xff])), payloadHash(Buffer.from([0xfe])));
  });
});

describe('hashesEqual', () => {
  it('is equality that never throws, for all lengths', () => {
    fc.assert(fc.property(text, text, (a, b) => hashesEqual(a, b) === (a === b) && hashesEqual(a, a)));
    assert.ok(!hashesEqual(undefined, undefined));
    assert.ok(!hashesEqual('a', undefined));
    assert.ok(!hashesEqual('', undefined));
  });
});

describe('nonceKey', () => {
  it('differs for different pairs', () => {
    assert.notEqual(nonceKey('ab', 'c'), nonceKey('a', 'bc'));
    assert.notEqual(nonceKey('a","b', 'c'), nonceKey('a', 'b","c'));
    assert.match(nonceKey('a', 'b'), /^[A-Za-z0-9_-]{43}$/);
    fc.assert(
      fc.property(text, text, text, text, (a, b, c, d) => (nonceKey(a, b) === nonceKey(c, d)) === (a === c && b === d)),
    );
  });
});

describe('signedResource', () => {
  it('can be decoded: no two requests share a resource', () => {
    fc.assert(
      fc.property(text, text, (replyTo, correlationId) => {
        const resource = signedResource('ping', replyTo, correlationId);
        assert.match(resource, /^\/v1\/ping\?replyTo=[\w\-.!~*'()%]*&correlationId=[\w\-.!~*'()%]*$/);
        const [, query = ''] = resource.split('?');
        const parts = query.split('&').map((part) => decodeURIComponent(part.slice(part.indexOf('=') + 1)));
        assert.deepEqual(parts, [replyTo, correlationId]);
      }),
    );
  });
});

describe('readAuthorization', () => {
  const good = vectors.requests[0]?.authorization ?? '';
  const hash = payloadHash(Buffer.from('{}'));
  const made = (attributes: Record<string, string>): string =>
    `Hawk ${Object.entries({ id: 'a', ts: '1795521600', nonce: 'n', hash, mac: hash, ...attributes })
      .map(([name, value]) => `${name}="${value}"`)
      .join(', ')}`;

  it('accepts attributes in any order, with or without spaces after commas', () => {
    const attributes = good.slice('Hawk '.length).split(', ');
    const read = readAuthorization(good);
    fc.assert(
      fc.property(fc.shuffledSubarray(attributes, { minLength: attributes.length }), (order) => {
        assert.deepEqual(readAuthorization(`Hawk ${order.join(',')}`), read);
      }),
    );
    assert.deepEqual(readAuthorization(`hawk ${attributes.join(' , ')}`), read);
  });

  it('refuses a header that is missing or not text', () => {
    for (const header of [undefined, null, '']) assert.throws(() => readAuthorization(header), refusal(/is missing/));
    for (const header of [7, {}, [good], Buffer.from(good), true])
      assert.throws(() => readAuthorization(header), refusal(/must be text/));
  });

  it('refuses another scheme', () => {
    for (const header of ['Bearer x', 'Hawk', 'Hawkid="a"', ` ${good}`])
      assert.throws(() => readAuthorization(header), refusal(/scheme Hawk/));
  });

  it('refuses a duplicate or unknown attribute', () => {
    assert.throws(() => readAuthorization(`${good}, ts="1795521600"`), refusal(/the attribute ts twice/));
    for (const name of ['app', 'dlg', 'tsm', 'x', 'constructor']) {
      assert.throws(() => readAuthorization(made({ [name]: 'a' })), refusal(/not one of/));
    }
    assert.throws(() => readAuthorization(made({ __proto__x: 'a' })), refusal(/form name="value"/));
  });

  it('requires a ts of exactly ten digits', () => {
    for (const ts of [
      'abc',
      '179552160',
      '17955216000',
      '1795521.60',
      '1e9',
      ' 1795521600',
      '-179552160',
      '١٧٩٥٥٢١٦٠٠',
      '0x17955216',
    ]) {
      assert.throws(() => readAuthorization(made({ ts })), refusal(/ten digits|form name="value"/), ts);
    }
    assert.throws(() => readAuthorization(good.replace(/ts="\d+", /, '')), refusal(/ten digits/));
  });

  it('requires a hash and a mac, each the canonical base64 of 32 bytes', () => {
    for (const name of ['hash', 'mac']) {
      for (const value of [
        'x',
        hash.slice(0, -1),
        `${hash}=`,
        hash.slice(4),
        hash.replace(/.=$/, 'B='),
        `${hash.slice(0, 42)}-=`,
      ]) {
        assert.throws(
          () => readAuthorization(made({ [name]: value })),
          refusal(new RegExp(`must have a ${name}`)),
          value,
        );
      }
      assert.throws(
        () => readAuthorization(good.replace(new RegExp(`(, )?${name}="[^"]*"`), '')),
        refusal(new RegExp(`must have a ${name}`)),
      );
    }
  });

  it('requires an id and a nonce of limited length', () => {
    assert.equal(readAuthorization(made({ id: 'x'.repeat(256), nonce: 'x'.repeat(128) })).id.length, 256);
    assert.throws(() => readAuthorization(made({ id: 'x'.repeat(257) })), refusal(/an id of 1 to 256/));
    assert.throws(() => readAuthorization(made({ nonce: 'x'.repeat(129) })), refusal(/a nonce of 1 to 128/));
    assert.throws(() => readAuthorization(good.replace(/id="[^"]*", /, '')), refusal(/an id/));
    assert.throws(() => readAuthorization(good.replace(/nonce="[^"]*", /, '')), refusal(/a nonce/));
  });

  it('requires an id of the form of a clientId: Taskcluster fails at any other', () => {
    const id = 'Az09!@/:.+|_-';
    assert.equal(readAuthorization(made({ id })).id, id);
    for (const other of ['a b', 'a~b', 'a,b', 'a*', "a'b", 'a(b)', 'a#b', 'a=b', 'a%b', '{a}']) {
      assert.throws(() => readAuthorization(made({ id: other })), refusal(/id .* A-Z a-z 0-9/), other);
    }
  });

  it('is at most 4096 characters long', () => {
    const room = 4096 - made({ ext: '' }).length;
    assert.equal(readAuthorization(made({ ext: 'x'.repeat(room) })).ext?.length, room);
    assert.throws(() => readAuthorization(made({ ext: 'x'.repeat(room + 1) })), refusal(/at most 4096 characters/));
  });

  it('refuses control characters, quotes, backslashes and trailing text', () => {
    for (const header of [
      `${good},`,
      `${good} `,
      `${good} x`,
      good.replace(', ', ' '),
      good.replace(', ', ',, '),
      made({ ext: '' }),
      made({ ext: 'a\\' }),
      made({ ext: 'a\n' }),
      made({ ext: 'ä' }),
      `${good}\n`,
      good.replaceAll('"', "'"),
    ]) {
      assert.throws(() => readAuthorization(header), refusal(/form name="value"/), JSON.stringify(header));
    }
  });

  it('reads every header that it accepts like hawk does, and throws nothing except AuthenticationFailed', () => {
    const piece = fc.constantFrom(
      '"',
      '\\',
      ',',
      ' ',
      '=',
      'ts',
      'id="a"',
      'ts="1795521600"',
      '\t',
      '\n',
      'Hawk ',
      'é',
      '\0',
    );
    const mutation = fc.tuple(
      fc.nat({ max: good.length }),
      fc.nat({ max: 3 }),
      fc.oneof(piece, fc.string({ maxLength: 3 })),
    );
    fc.assert(
      fc.property(fc.array(mutation, { maxLength: 3 }), (mutations) => {
        let header = good;
        for (const [at, gone, added] of mutations) header = header.slice(0, at) + added + header.slice(at + gone);
        let read: unknown;
        try {
          read = readAuthorization(header);
        } catch (error) {
          assert.ok(error instanceof WireError && error.code === 'AuthenticationFailed', String(error));
          return;
        }
        assert.deepEqual({ ...hawk.utils.parseAuthorizationHeader(header) }, read);
      }),
      { numRuns: 3000 },
    );
  });
});
