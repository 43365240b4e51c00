import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { METHODS } from '../../src/contract/methods.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { unique } from '../support/folders.ts';
import type { RawRequest } from '../support/requester.ts';

const NAMESPACE_RULE = 'must be 1 to 64 of the characters A-Z, a-z, 0-9, _ and -';
const INSTANT_RULE = 'must be an instant in UTC such as 2026-11-24T12:00:00.000Z';
const namespace = 'taskcluster-team-bad-input';
const goodX = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' }).x;
const key = { kty: 'OKP', crv: 'X25519', x: goodX };

/** A bad request, the field that the error names, and its rule. */
type Line = readonly [what: string, request: Partial<RawRequest>, field: string | undefined, rule: string | RegExp];

const claimWith = (body: unknown): Partial<RawRequest> => ({ method: 'claim-namespace', body });

const INPUT_ERRORS: readonly Line[] = [
  ['a body that is not JSON', { body: Buffer.from('{') }, undefined, 'The body must be JSON.'],
  ['an empty body', { body: Buffer.alloc(0) }, undefined, /^The body /],
  ['a body that is not UTF-8', { body: Buffer.from([0x22, 0xff, 0x22]) }, undefined, /^The body .*UTF-8/],
  ['a body with a duplicate key', { body: Buffer.from('{"limit":1,"limit":2}') }, undefined, /^The body .*twice/],
  ['an array', { body: [] }, undefined, 'The body must be a JSON object.'],
  ['null', { body: Buffer.from('null') }, undefined, 'The body must be a JSON object.'],
  ['an unknown field', { body: { why: 1 } }, 'why', 'The field "why" is unknown: leave it out.'],
  ['a missing field', claimWith({}), 'namespace', `The field namespace is missing: it ${NAMESPACE_RULE}.`],
  ['a body over 16 KiB', { body: { a: 'x'.repeat(16 * 1024) } }, 'body', /^The body must be at most 16384 bytes/],
  ['another content type', { contentType: 'text/plain' }, 'content_type', /content_type must be application\/json/],
  ['no content type', { contentType: null }, 'content_type', /content_type must be application\/json/],
  ['a content type with a charset', { contentType: 'application/json; charset=utf-8' }, 'content_type', /content_type/],
  ['no correlation id', { correlationId: null }, 'correlation_id', /correlation_id must be 1 to 128/],
  ['a correlation id with a space', { correlationId: 'a b' }, 'correlation_id', /correlation_id must be 1 to 128/],
  ['a long correlation id', { correlationId: 'x'.repeat(129) }, 'correlation_id', /correlation_id must be 1 to 128/],
  ['a correlation id with umlauts', { correlationId: 'ä' }, 'correlation_id', /correlation_id must be 1 to 128/],
  ['a bad name', claimWith({ namespace: 'taskcluster-team/x' }), 'namespace', `The field namespace ${NAMESPACE_RULE}.`],
  ['a name with a line end', claimWith({ namespace: `${namespace}\n` }), 'namespace', NAMESPACE_RULE],
  ['a name that is too long', claimWith({ namespace: namespace.padEnd(65, 'x') }), 'namespace', NAMESPACE_RULE],
  ['a name of another type', claimWith({ namespace: 7 }), 'namespace', NAMESPACE_RULE],
  [
    'the wrong prefix',
    claimWith({ namespace: 'team' }),
    'namespace',
    'The field namespace must begin with taskcluster-.',
  ],
  ['an expires that is not an instant', claimWith({ namespace, expires: 'soon' }), 'expires', INSTANT_RULE],
  [
    'an expires with an offset',
    claimWith({ namespace, expires: '2026-11-24T12:00:00+01:00' }),
    'expires',
    INSTANT_RULE,
  ],
  ['an expires on February 30', claimWith({ namespace, expires: '2027-02-30T12:00:00Z' }), 'expires', INSTANT_RULE],
  ['an expires in the past', claimWith({ namespace, expires: '2020-01-01T00:00:00Z' }), 'expires', /in the future/],
  ['an expires too far', claimWith({ namespace, expires: '2100-01-01T00:00:00Z' }), 'expires', /at most/],
  ['a contact that is not an address', claimWith({ namespace, contact: 'me' }), 'contact', /plain mail address/],
  ['a contact with a name', claimWith({ namespace, contact: 'A <a@example.com>' }), 'contact', /plain mail address/],
  ['a contact that adds a header', claimWith({ namespace, contact: 'a@b.c\nBcc: d@e.f' }), 'contact', /plain mail/],
  ['an alias of a Matrix room', claimWith({ namespace, contact: 'matrix:#room:b.c' }), 'contact', /serves no aliases/],
  [
    'the name of a Slack channel',
    claimWith({ namespace, contact: 'slack:#general' }),
    'contact',
    /Slack channel by its/,
  ],
  ['a contact of an unknown form', claimWith({ namespace, contact: 'irc:#team' }), 'contact', /plain mail address/],
  ['a key with its private half', claimWith({ namespace, replyKey: { ...key, d: goodX } }), 'replyKey', /replyKey/],
  [
    'a key of another curve',
    claimWith({ namespace, replyKey: { ...key, crv: 'P-256' } }),
    'replyKey.crv',
    /replyKey\.crv/,
  ],
  ['a key of zeros', claimWith({ namespace, replyKey: { ...key, x: 'A'.repeat(43) } }), 'replyKey.x', /replyKey\.x/],
  ['a short key', claimWith({ namespace, replyKey: { ...key, x: 'AAAA' } }), 'replyKey.x', /replyKey\.x/],
  ['a limit of 0', { method: 'list-namespaces', body: { limit: 0 } }, 'limit', /whole number from 1 to 1000/],
  [
    'a forged continuationToken',
    { method: 'list-namespaces', body: { continuationToken: 'L2V0Yw' } },
    'continuationToken',
    /continuationToken must be/,
  ],
  ['an unknown method', { method: 'make-coffee' }, 'method', /^The method is unknown: .*claim-namespace/],
  ['a method in capitals', { method: 'PING' }, 'method', /^The method is unknown/],
  ['no method', { method: '' }, 'method', /^The method is unknown/],
];

describe('bad input over AMQP', () => {
  const installation = useInstallation();

  for (const [what, request, field, rule] of INPUT_ERRORS) {
    it(`InputError: ${what}`, async () => {
      const requester = await installation().requester();
      const method = request.method ?? 'ping';
      const credentials = method === 'claim-namespace' ? installation().taskcluster.credentials(TEAM) : undefined;
      const { json, properties } = await requester.request({
        method,
        ...request,
        ...(credentials === undefined ? {} : { credentials }),
      });
      assert.equal(properties.type, 'error');
      assert.equal(properties.contentType, 'application/json');
      assert.equal(json['code'], 'InputError', JSON.stringify(json));
      assert.equal(json['retryable'], false);
      if (typeof rule === 'string') assert.ok(String(json['message']).includes(rule), String(json['message']));
      else assert.match(String(json['message']), rule);
      const methods = field === 'method' ? { methods: Object.keys(METHODS) } : {};
      assert.deepEqual(json['details'], field === undefined ? undefined : { field, ...methods });
    });
  }

  const withoutReplyAddress: readonly (readonly [string, Partial<RawRequest>, RegExp])[] = [
    ['no reply address', { replyTo: null }, /there is no reply_to/],
    ['no reply address and an unknown method', { replyTo: null, method: 'make-coffee' }, /./],
  ];
  for (const [what, request, reason] of withoutReplyAddress) {
    it(`dead-lettered: ${what}`, async () => {
      const deadLetters = await installation().deadLetters();
      const requester = await installation().requester();
      const sent = requester.compose({ method: 'ping', body: { [unique('body')]: 1 }, ...request });
      await requester.publish(sent);
      const letter = await deadLetters.of(sent.correlationId);
      assert.deepEqual(letter.content, sent.content);
      assert.equal(letter.fields.routingKey, sent.method);
      if (sent.method === 'ping') assert.match(String(letter.properties.headers?.['x-pulse-agent-reason']), reason);
    });
  }

  it('a dead letter holds everything except the signature, with harmless headers', async () => {
    const deadLetters = await installation().deadLetters();
    const requester = await installation().requester();
    const body = { namespace: teamNamespace() };
    const sent = requester.compose({
      method: 'claim-namespace',
      body,
      replyTo: 'somewhere',
      credentials: installation().taskcluster.credentials(TEAM),
      headers: { 'x-death': 'boom', 'x-mine': 'mine' },
    });
    await requester.publish(sent);
    const { properties, content } = await deadLetters.of(sent.correlationId);
    assert.deepEqual(JSON.parse(content.toString()), body);
    const headers = properties.headers ?? {};
    assert.deepEqual(JSON.parse(String(headers['x-pulse-agent-headers'])), { 'x-death': 'boom', 'x-mine': 'mine' });
    assert.equal(headers['x-pulse-agent-reply-to'], 'somewhere');
    assert.ok(!JSON.stringify(headers).includes('Hawk'));
    assert.equal(properties.replyTo, undefined);
  });

  it('headers of every type are accepted', async () => {
    const requester = await installation().requester();
    const strange: Record<string, unknown>[] = [
      { 'x-death': 'boom' },
      { 'x-death': [null] },
      { 'rascal.recovery.q.immediateNack': true },
      { authorization: 7 },
      { authorization: { id: 'x' } },
      { authorization: 'Basic YTpi' },
      { authorization: 'Hawk '.padEnd(60_000, 'x') },
      { ['__proto__x']: { a: [1, { b: null }] }, constructor: 'x', toString: 1 },
      { when: { '!': 'timestamp', value: 2 ** 40 }, money: { '!': 'decimal', value: { digits: 1, places: 1 } } },
    ];
    for (const headers of strange) {
      const { properties, json } = await requester.request({ method: 'ping', headers });
      const isSigned = 'authorization' in headers;
      assert.equal(properties.type, isSigned ? 'error' : 'result', JSON.stringify(json));
      if (isSigned) assert.equal(json['code'], 'AuthenticationFailed');
    }
    // The broker delivers both copies of a CC, and each is answered.
    const sent = requester.compose({ method: 'ping', headers: { CC: ['ping'], BCC: ['make-coffee'] } });
    assert.equal((await requester.request(sent)).properties.type, 'result');
  });

  it('after all this the agent still serves and has created no account', async () => {
    const rpc = await installation().rpc();
    assert.equal((await rpc.request('ping', {})).alive, true);
    await assert.rejects(rpc.request('get-namespace', { namespace }), { code: 'ResourceNotFound' });
  });
});
