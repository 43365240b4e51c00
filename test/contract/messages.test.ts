import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { WireError } from '../../src/contract/wire-errors.ts';
import { parseRequestBody, parseResult } from '../../src/contract/messages.ts';
import {
  acceptedScopes,
  METHODS,
  type MethodName,
  isMethodName,
  type RequestBody,
} from '../../src/contract/methods.ts';
import { MAX_REQUEST_BYTES } from '../../src/contract/names.ts';

function parse<M extends MethodName>(method: M, body: unknown): RequestBody<M> {
  return parseRequestBody(method, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
}

function inputError(pattern: RegExp, field?: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, String(error));
    assert.equal(error.code, 'InputError');
    assert.match(error.message, pattern);
    assert.match(error.message, /^[\x20-\x7e]{1,400}\.$/);
    assert.deepEqual(error.details, field === undefined ? undefined : { field });
    return true;
  };
}

const everyMethod = Object.keys(METHODS).filter(isMethodName);
const namespace = 'taskcluster-builds';

describe('request bodies', () => {
  it('are JSON objects in UTF-8 without a byte order mark', () => {
    for (const method of everyMethod) {
      for (const text of ['[]', 'null', '7', '"{}"', 'true']) {
        assert.throws(() => parse(method, text), inputError(/^The body must be a JSON object\.$/));
      }
      for (const text of [
        '',
        '{',
        '{}{}',
        '{"limit":NaN}',
        "{'a':1}",
        '{"a":1,}',
        '\u{feff}{}',
        '{}\0',
        '['.repeat(8000),
      ]) {
        assert.throws(() => parse(method, text), inputError(/^The body must be JSON\.$/));
      }
      const invalid = Buffer.concat([Buffer.from('{"namespace":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]);
      assert.throws(() => parseRequestBody(method, invalid), inputError(/^The body must be UTF-8\.$/));
    }
  });

  it('may be deeply nested without a crash', () => {
    const deep = `${'['.repeat(8000)}${']'.repeat(8000)}`;
    assert.throws(() => parse('ping', deep), inputError(/must be a JSON object/));
    assert.throws(
      () => parse('get-namespace', `{"namespace":${deep}}`),
      inputError(/^The field namespace must/, 'namespace'),
    );
  });

  it('are at most 16 KiB long, to the byte', () => {
    assert.equal(MAX_REQUEST_BYTES, 16_384);
    const body = Buffer.alloc(MAX_REQUEST_BYTES, ' ');
    body.write('{}');
    assert.deepEqual(parseRequestBody('ping', body), {});
    const longer = Buffer.alloc(MAX_REQUEST_BYTES + 1, ' ');
    longer.write('{}');
    assert.throws(() => parseRequestBody('ping', longer), inputError(/at most 16384 bytes; it has 16385/, 'body'));
  });

  it('have no unknown field, and the message names it safely', () => {
    for (const method of everyMethod) {
      const known = method === 'ping' || method === 'list-namespaces' ? {} : { namespace };
      assert.throws(
        () => parse(method, { ...known, colour: 1 }),
        inputError(/^The field "colour" is unknown/, 'colour'),
      );
    }
    assert.throws(() => parse('ping', { namespace }), inputError(/^The field "namespace" is unknown/, 'namespace'));
    assert.throws(() => parse('claim-namespace', { namspace: 'x' }), inputError(/"namspace" is unknown/, 'namspace'));
    assert.throws(
      () => parse('ping', '{"__proto__":{"alive":true}}'),
      inputError(/"__proto__" is unknown/, '__proto__'),
    );
    assert.throws(() => parse('ping', '{"constructor":1}'), inputError(/"constructor" is unknown/, 'constructor'));
    const nasty = `\u202e\n"${'x'.repeat(1000)}`;
    assert.throws(() => parse('ping', { [nasty]: 1 }), inputError(/is unknown/, nasty.slice(0, 128)));
    assert.equal(({} as Record<string, unknown>)['alive'], undefined);
  });

  it('have no duplicate field, however it is escaped', () => {
    const twice = inputError(/^The body must not have the field "namespace" twice\.$/);
    assert.throws(() => parse('get-namespace', '{"namespace":"a","namespace":"b"}'), twice);
    assert.throws(() => parse('get-namespace', String.raw`{"namespace":"a","n\u0061mespace":"b"}`), twice);
    assert.throws(
      () => parse('claim-namespace', '{"namespace":"a","replyKey":{"x":"1","y":["x"],"x":"2"}}'),
      inputError(/the field "x" twice/),
    );
    // The same name in two objects, or as a value, is not a duplicate.
    assert.deepEqual(parse('get-namespace', '{"namespace":"namespace"}'), { namespace: 'namespace' });
  });

  it('need a namespace for methods about one', () => {
    for (const method of everyMethod.filter((name) => name !== 'ping' && name !== 'list-namespaces')) {
      assert.throws(
        () => parse(method, {}),
        inputError(/^The field namespace is missing: it must be 1 to 64 /, 'namespace'),
      );
      for (const wrong of ['', 'a b', 'a.b', 'a/b', 'a*', 'ä', 'a\n', 'x'.repeat(65), 7, null, ['a'], { a: 1 }]) {
        assert.throws(
          () => parse(method, { namespace: wrong }),
          inputError(/^The field namespace must be 1 to 64 /, 'namespace'),
        );
      }
      for (const right of ['a', 'x'.repeat(64), 'A-Z_09', '-']) {
        assert.deepEqual(parse(method, { namespace: right }), { namespace: right });
      }
    }
  });

  it('of a claim may have expires, parsed to ms', () => {
    assert.deepEqual(parse('claim-namespace', { namespace, expires: '2026-11-24T12:00:00Z' }), {
      namespace,
      expiresMs: 1_795_521_600_000,
    });
    for (const expires of [null, 1_795_521_600_000, '2026-02-30T00:00:00Z', '2026-11-24T12:00:00+01:00', '']) {
      assert.throws(
        () => parse('claim-namespace', { namespace, expires }),
        inputError(/^The field expires must be an instant in UTC such as/, 'expires'),
      );
    }
  });

  it('of a revocation may have until, parsed to ms', () => {
    assert.deepEqual(parse('revoke-namespace', { namespace, until: '2026-11-24T12:00:00Z' }), {
      namespace,
      untilMs: 1_795_521_600_000,
    });
    assert.throws(
      () => parse('revoke-namespace', { namespace, until: 'soon' }),
      inputError(/^The field until must be/, 'until'),
    );
  });

  it('distinguish an omitted contact from null', () => {
    assert.ok(!('contact' in parse('claim-namespace', { namespace })));
    assert.equal(parse('claim-namespace', { namespace, contact: null }).contact, null);
  });

  it('of a list have a limit of 1 to 1000, by default 100, and a bounded continuationToken', () => {
    assert.deepEqual(parse('list-namespaces', {}), { limit: 100 });
    assert.deepEqual(parse('list-namespaces', { limit: 1 }), { limit: 1 });
    assert.deepEqual(parse('list-namespaces', { limit: 1000, continuationToken: 'abc' }), {
      limit: 1000,
      continuationToken: 'abc',
    });
    for (const limit of ['0', '1001', '-1', '1.5', '1e400', '"7"', 'null', 'true']) {
      assert.throws(
        () => parse('list-namespaces', `{"limit":${limit}}`),
        inputError(/^The field limit must be a whole number from 1 to 1000/, 'limit'),
      );
    }
    for (const continuationToken of ['', 'a b', 'x'.repeat(257), 'a\n', null, 7]) {
      assert.throws(
        () => parse('list-namespaces', { continuationToken }),
        inputError(/^The field continuationToken must/, 'continuationToken'),
      );
    }
  });

  it('make the parser throw nothing except InputError', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .dictionary(
          fc.constantFrom('namespace', 'expires', 'contact', 'replyKey', 'limit', 'until', '__proto__', 'd'),
          fc.jsonValue(),
        )
        .map((value) => Buffer.from(JSON.stringify(value))),
    );
    fc.assert(
      fc.property(fc.constantFrom(...everyMethod), anything, (method, bytes) => {
        try {
          parseRequestBody(method, bytes);
        } catch (error) {
          assert.ok(error instanceof WireError && error.code === 'InputError', String(error));
          assert.match(error.message, /^[\x20-\x7e]{1,400}\.$/);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the table of methods', () => {
  it('has the scope of each method', () => {
    const needs = everyMethod.map((name) => [name, METHODS[name].signed, METHODS[name].scope?.('x') ?? null]);
    assert.deepEqual(needs, [
      ['ping', false, null],
      ['claim-namespace', true, 'pulse:namespace:x'],
      ['get-namespace', false, null],
      ['describe-namespace', true, 'pulse:describe:x'],
      ['list-namespaces', false, null],
      ['release-namespace', true, 'pulse:namespace:x'],
      ['revoke-namespace', true, 'pulse:revoke:x'],
    ]);
  });

  it('lets who may claim a namespace describe it', () => {
    assert.deepEqual(acceptedScopes('describe-namespace', 'x'), ['pulse:describe:x', 'pulse:namespace:x']);
    assert.deepEqual(acceptedScopes('claim-namespace', 'x'), ['pulse:namespace:x']);
    assert.deepEqual(acceptedScopes('get-namespace', 'x'), []);
  });

  it('has no inherited names', () => {
    assert.ok(isMethodName('ping'));
    for (const name of ['toString', '__proto__', 'Ping', '', 'claim']) assert.ok(!isMethodName(name));
  });
});

describe('results', () => {
  const view = { namespace, created: '2026-11-24T12:00:00.000Z', expires: '2026-11-24T16:00:00.000Z', state: 'active' };

  it('are parsed without the fields of later versions', () => {
    const result = parseResult('get-namespace', Buffer.from(JSON.stringify({ ...view, colour: 'red' })));
    assert.deepEqual(result, view);
  });

  it('are an InternalServerError if they do not follow the contract', () => {
    const broken = { ...view, expires: 'never' };
    for (const text of ['{', '{}', JSON.stringify(broken), '[]', JSON.stringify({ ...view, state: 'deleted' })]) {
      assert.throws(
        () => parseResult('get-namespace', Buffer.from(text)),
        (error) => error instanceof WireError && error.code === 'InternalServerError',
      );
    }
    assert.throws(
      () => parseResult('list-namespaces', Buffer.from(JSON.stringify({ namespaces: [broken] }))),
      /at namespaces\.0\.expires/,
    );
  });
});
