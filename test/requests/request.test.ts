import assert from 'node:assert/strict';
import { WireError } from '../../src/contract/wire-errors.ts';
import { headersOf, readRequest } from '../../src/requests/request.ts';
import { DIRECT_ADDRESS, type DeliveryInput, deliveryOf } from '../support/deliveries.ts';

const namespace = 'taskcluster-x';

describe('readRequest', () => {
  it('reads a well-formed request', () => {
    const delivery = deliveryOf({
      routingKey: 'claim-namespace',
      content: { namespace, expires: '2026-11-24T12:00:00Z' },
      properties: { headers: { authorization: 'Hawk …' }, userId: 'pulse-agent-claimant' },
    });
    assert.deepEqual(readRequest(delivery, DIRECT_ADDRESS), {
      method: 'claim-namespace',
      body: { namespace, expiresMs: Date.parse('2026-11-24T12:00:00Z') },
      content: delivery.content,
      correlationId: 'c-1',
      replyTo: DIRECT_ADDRESS,
      authorization: 'Hawk …',
      userId: 'pulse-agent-claimant',
    });
  });

  it('accepts every correlation id of 1 to 128 printable characters, and a body of 16 KiB', () => {
    for (const correlationId of ['!', '~'.repeat(128)]) {
      readRequest(deliveryOf({ properties: { correlationId } }), DIRECT_ADDRESS);
    }
    readRequest(deliveryOf({ content: Buffer.from('{}'.padEnd(16_384)) }), DIRECT_ADDRESS);
  });

  // The fault, and the field in the details and in the message of the error.
  const faults: [string, DeliveryInput, string | undefined, RegExp][] = [
    ['no correlation id', { properties: { correlationId: undefined } }, 'correlation_id', /correlation_id must be/],
    ['an empty one', { properties: { correlationId: '' } }, 'correlation_id', /correlation_id must be/],
    ['one too long', { properties: { correlationId: 'x'.repeat(129) } }, 'correlation_id', /1 to 128/],
    ['one with a space', { properties: { correlationId: 'a b' } }, 'correlation_id', /without spaces/],
    ['one with a line break', { properties: { correlationId: 'a\n' } }, 'correlation_id', /correlation_id must be/],
    ['one that is not ASCII', { properties: { correlationId: 'ü' } }, 'correlation_id', /ASCII/],
    ['an unknown method', { routingKey: 'pong' }, 'method', /routing key must be one of ping, claim-namespace/],
    ['a method of Object', { routingKey: 'constructor' }, 'method', /The method is unknown/],
    ['no content type', { properties: { contentType: undefined } }, 'content_type', /must be application\/json/],
    ['another one', { properties: { contentType: 'text/plain' } }, 'content_type', /content_type/],
    [
      'one with a parameter',
      { properties: { contentType: 'application/json; charset=utf-8' } },
      'content_type',
      /content_type/,
    ],
    ['a body over 16 KiB', { content: Buffer.from('{}'.padEnd(16_385)) }, 'body', /at most 16384 bytes; it has 16385/],
    ['a body that was dropped', { content: Buffer.alloc(0), bodyBytes: 99_999 }, 'body', /it has 99999/],
    ['no JSON', { content: Buffer.from('{') }, undefined, /^The body must be JSON\.$/],
    ['no object', { content: Buffer.from('[]') }, undefined, /^The body must be a JSON object\.$/],
    ['an unknown field', { content: { colour: 1 } }, 'colour', /The field "colour" is unknown/],
    ['a missing field', { routingKey: 'get-namespace' }, 'namespace', /The field namespace is missing/],
    ['a bad name', { routingKey: 'get-namespace', content: { namespace: 'a b' } }, 'namespace', /The field namespace/],
  ];
  for (const [what, input, field, message] of faults) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => readRequest(deliveryOf(input), DIRECT_ADDRESS),
        (error: unknown) => {
          assert.ok(error instanceof WireError, String(error));
          assert.equal(error.code, 'InputError');
          assert.match(error.message, message);
          if (field !== undefined) assert.equal(error.details?.['field'], field);
          return true;
        },
      );
    });
  }
});

describe('headersOf', () => {
  it('returns an empty object for a message without headers', () => {
    for (const headers of [undefined, null]) {
      // @ts-expect-error a message need not follow the types
      assert.deepEqual(headersOf({ ...deliveryOf(), properties: { headers } }), {});
    }
  });
});
