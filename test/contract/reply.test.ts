import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { isWireErrorCode, WIRE_ERRORS, WireError } from '../../src/contract/wire-errors.ts';
import { errorBody, errorReply, readReply, resultReply, sealedReply } from '../../src/contract/reply.ts';

describe('replies', () => {
  it('have the correlation id, the type and the content type', () => {
    assert.deepEqual(resultReply('c', '{"a":1}'), {
      properties: { correlationId: 'c', type: 'result', contentType: 'application/json' },
      content: Buffer.from('{"a":1}'),
    });
    assert.deepEqual(sealedReply('c', 'a..b.c.d').properties, {
      correlationId: 'c',
      type: 'result',
      contentType: 'application/jose',
    });
    const { properties, content } = errorReply('c', new WireError('RequestConflict', 'Wait.', { details: { a: 1 } }));
    assert.deepEqual(properties, { correlationId: 'c', type: 'error', contentType: 'application/json' });
    assert.deepEqual(JSON.parse(content.toString()), {
      code: 'RequestConflict',
      message: 'Wait.',
      retryable: true,
      details: { a: 1 },
    });
  });

  it('are read back unchanged', () => {
    const plain = resultReply('c', '{}');
    assert.deepEqual(readReply(plain.properties, plain.content), { kind: 'result', json: Buffer.from('{}') });
    const sealed = sealedReply('c', 'a..b.c.d');
    assert.deepEqual(readReply(sealed.properties, sealed.content), { kind: 'sealed', jwe: 'a..b.c.d' });
  });

  for (const code of Object.keys(WIRE_ERRORS).filter(isWireErrorCode)) {
    it(`transfer ${code} with its retryable`, () => {
      for (const retryable of [true, false]) {
        const sent = new WireError(code, 'A sentence.', { retryable, details: { required: 's' } });
        const { properties, content } = errorReply('c', sent);
        assert.ok(errorBody.safeParse(JSON.parse(content.toString())).success);
        const read = readReply(properties, content);
        assert.ok(read.kind === 'error');
        assert.ok(read.error instanceof WireError);
        assert.deepEqual(read.error.toBody(), sent.toBody());
      }
    });
  }

  it('with an unknown code are an InternalServerError with that code in details', () => {
    const body = { code: 'TooManyNamespaces', message: 'Later.', retryable: false, colour: 'red' };
    const read = readReply({ type: 'error', contentType: 'application/json' }, Buffer.from(JSON.stringify(body)));
    assert.ok(read.kind === 'error');
    assert.deepEqual(read.error.toBody(), {
      code: 'InternalServerError',
      message: 'Later.',
      retryable: false,
      details: { code: 'TooManyNamespaces' },
    });
  });

  it('of any other form throw an InternalServerError and nothing else', () => {
    const anything = fc.constantFrom('result', 'error', 'application/json', 'application/jose', undefined, 7, 'x');
    fc.assert(
      fc.property(
        anything,
        anything,
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (type, contentType, content) => {
          try {
            const { kind } = readReply({ type, contentType }, content);
            assert.equal(kind === 'error', type === 'error');
          } catch (error) {
            assert.ok(error instanceof WireError && error.code === 'InternalServerError', String(error));
          }
        },
      ),
      { numRuns: 500 },
    );
    assert.throws(() => readReply({ type: 'error', contentType: 'application/jose' }, Buffer.from('{}')), WireError);
    assert.throws(
      () => readReply({ type: 'error', contentType: 'application/json' }, Buffer.from('{"code":"InputError"}')),
      WireError,
    );
  });
});
