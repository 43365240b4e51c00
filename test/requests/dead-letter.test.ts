import assert from 'node:assert/strict';
import { deadLetterCopy } from '../../src/requests/dead-letter.ts';
import { DIRECT_ADDRESS, deliveryOf } from '../support/deliveries.ts';

function copyWith(headers: unknown): Record<string, unknown> {
  const delivery = deliveryOf();
  Object.assign(delivery.properties, { headers });
  return deadLetterCopy('dead', delivery, 'why').options.headers as Record<string, unknown>;
}

describe('deadLetterCopy', () => {
  it('keeps the body, the method and what an operator needs, with the reason', () => {
    const delivery = deliveryOf({
      routingKey: 'claim-namespace',
      content: { namespace: 'taskcluster-x' },
      properties: { headers: { a: 1, authorization: 'Hawk mac="…"' }, userId: 'pulse-agent-claimant' },
    });
    assert.deepEqual(deadLetterCopy('rpc/pulse-agent/v1/dead', delivery, 'the reason'), {
      exchange: 'rpc/pulse-agent/v1/dead',
      routingKey: 'claim-namespace',
      content: delivery.content,
      options: {
        persistent: true,
        contentType: 'application/json',
        correlationId: 'c-1',
        headers: {
          'x-pulse-agent-reason': 'the reason',
          'x-pulse-agent-reply-to': DIRECT_ADDRESS,
          'x-pulse-agent-user-id': 'pulse-agent-claimant',
          'x-pulse-agent-headers': '{"a":1}',
        },
      },
    });
  });

  it('has no signature, in any spelling of the header', () => {
    for (const name of ['authorization', 'Authorization', 'AUTHORIZATION']) {
      assert.equal(copyWith({ [name]: 'Hawk' })['x-pulse-agent-headers'], '{}');
    }
  });

  it('has no header that the broker or a library acts on', () => {
    const delivery = deliveryOf({
      properties: {
        userId: 'a-user',
        expiration: '1',
        type: 'result',
        messageId: 'm',
        priority: 9,
        appId: 'a',
        timestamp: 1,
        contentEncoding: 'gzip',
      },
    });
    const headers = { CC: ['queue/a/b'], BCC: ['queue/a/b'], 'x-death': 'boom', 'x-delay': 5 };
    Object.assign(delivery.properties, { headers });
    const { options } = deadLetterCopy('dead', delivery, 'why');
    assert.deepEqual(Object.keys(options).toSorted(), ['contentType', 'correlationId', 'headers', 'persistent']);
    for (const name of Object.keys(options.headers as object)) assert.match(name, /^x-pulse-agent-/);
    assert.match(
      String((options.headers as Record<string, unknown>)['x-pulse-agent-headers']),
      /"BCC":\["queue\/a\/b"\]/,
    );
  });

  it('accepts any headers and writes each as text', () => {
    let deep: object = {};
    for (let depth = 0; depth < 50_000; depth += 1) deep = { a: deep };
    const odd: [unknown, string | RegExp][] = [
      [undefined, '{}'],
      [null, '{}'],
      ['text', '{}'],
      [{ big: 2n ** 63n }, '{"big":"9223372036854775808"}'],
      [{ bytes: Buffer.from([1, 2]) }, '{"bytes":{"type":"Buffer","data":[1,2]}}'],
      [{ at: { '!': 'timestamp', value: 1 } }, /timestamp/],
      [{ nothing: null, missing: undefined, nan: Number.NaN }, '{"nothing":null,"nan":null}'],
      [{ toJSON: 'text' }, '{"toJSON":"text"}'],
      [deep, 'the headers cannot be written as JSON'],
    ];
    for (const [headers, expected] of odd) {
      const text = String(copyWith(headers)['x-pulse-agent-headers']);
      if (typeof expected === 'string') assert.equal(text, expected);
      else assert.match(text, expected);
    }
  });

  it('accepts any properties', () => {
    const delivery = deliveryOf();
    Object.assign(delivery.properties, { correlationId: 7, contentType: Buffer.from('x'), replyTo: {}, userId: null });
    const { options } = deadLetterCopy('dead', delivery, 'why');
    assert.deepEqual(Object.keys(options).toSorted(), ['headers', 'persistent']);
    assert.equal((options.headers as Record<string, unknown>)['x-pulse-agent-reply-to'], '');
  });

  it('has a limited size', () => {
    const delivery = deliveryOf({
      content: Buffer.alloc(0),
      bodyBytes: 1_000_000,
      properties: { headers: { a: 'x'.repeat(100_000) } },
    });
    const { content, options } = deadLetterCopy('dead', delivery, 'why');
    assert.equal(content.length, 0);
    const headers = options.headers as Record<string, unknown>;
    assert.equal(headers['x-pulse-agent-body-bytes'], 1_000_000);
    assert.equal(String(headers['x-pulse-agent-headers']).length, 8192);
  });
});
