import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { WireError } from '../../src/contract/wire-errors.ts';
import { eventSchema } from '../../src/contract/events.ts';
import { parseRequestBody, parseResult } from '../../src/contract/messages.ts';
import { readReply } from '../../src/contract/reply.ts';
import { readAuthorization } from '../../src/contract/signature.ts';
import { runCommand } from '../../dev/commands.ts';
import { findExecutable } from '../../dev/processes.ts';
import { readRequest } from '../../src/requests/request.ts';
import { vectors } from '../contract/vectors.ts';
import { skipBecause } from '../support/skip.ts';
import { type Block, useBlocks } from './blocks.ts';

const DOCUMENT = 'docs/protocol.md';

/** The error that an agent would reply; throws if it would reply none. */
function errorOf(request: () => unknown): unknown {
  try {
    request();
  } catch (error) {
    if (error instanceof WireError) return error.toBody();
    throw error;
  }
  return assert.fail('this is no error');
}

function readError({ text }: Block): unknown {
  const read = readReply({ type: 'error', contentType: 'application/json' }, Buffer.from(text));
  assert.equal(read.kind, 'error');
  return JSON.parse(text);
}

describe(`the blocks of ${DOCUMENT}`, () => {
  const blocks = useBlocks(DOCUMENT);
  const example = vectors.requests.find(({ name }) => name === 'a claim with direct reply-to');

  it('the worked example is that of the vectors', () => {
    assert.ok(example);
    assert.equal(blocks.take('hawk.1.header\n').text, example.normalized);
    assert.deepEqual(readAuthorization(blocks.take('Hawk id="project').text.trim()), {
      ...readAuthorization(example.authorization),
    });
    assert.equal(blocks.take(example.payloadHash).text.trim(), example.payloadHash);
  });

  it('the signature in Python agrees with the vectors', async function () {
    const code = blocks.take('def authorization(').text;
    const python = findExecutable('python3');
    if (python === undefined) skipBecause(this, 'there is no python3 on this machine');
    const check = [
      'import json, sys',
      `for v in json.load(open('docs/protocol-vectors.json', encoding='utf-8'))['requests']:`,
      `    c = v['credentials']`,
      `    ext = {k: c[k] for k in ('certificate', 'authorizedScopes') if k in c}`,
      `    ext = base64.b64encode(json.dumps(ext, separators=(',', ':')).encode()).decode() if ext else ''`,
      `    made = authorization(v['method'], v['body'].encode(), v['replyTo'], v['correlationId'], c['clientId'],`,
      `        c['accessToken'], v['audience'], ext, v['timestampSeconds'], v['nonce'])`,
      `    assert sorted(made[5:].split(', ')) == sorted(v['authorization'][5:].split(', ')), v['name']`,
      `    print(v['name'])`,
    ];
    const output = await runCommand(python, ['-c', [code, ...check].join('\n')], {
      env: { ...process.env, PYTHONUTF8: '1' },
    });
    assert.equal(output.split('\n').length, vectors.requests.length);
  });

  it('the reply key is one that the agent takes', () => {
    const { x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
    const placeholder = '<the public key: base64url, without padding, of 32 bytes>';
    const { text } = blocks.take('"kty"', { [placeholder]: String(x) });
    parseRequestBody('claim-namespace', Buffer.from(`{"namespace":"taskcluster-builds","replyKey":${text}}`));
  });

  it('the result of a claim is one that a client reads', () => {
    const result = JSON.parse(blocks.take('"connectionString"').text) as object;
    parseResult('claim-namespace', Buffer.from(JSON.stringify(result)));
    const several = JSON.parse(blocks.take('"connectionStrings"').text) as { readonly connectionStrings: string[] };
    const [connectionString] = several.connectionStrings;
    parseResult('claim-namespace', Buffer.from(JSON.stringify({ ...result, ...several, connectionString })));
  });

  it('the details of a namespace are those that a client reads', () => {
    const { details } = JSON.parse(blocks.take('"lastClaim"').text) as { details: object };
    const instant = '2026-11-24T12:00:00.000Z';
    const view = { namespace: 'taskcluster-builds', created: instant, expires: instant, state: 'active', details };
    assert.deepEqual(parseResult('get-namespace', Buffer.from(JSON.stringify(view))), view);
  });

  it('the description of a namespace is one that a client reads', () => {
    const described = JSON.parse(blocks.take('"observedAt"').text) as object;
    const instant = '2026-11-24T12:00:00.000Z';
    const view = {
      namespace: 'taskcluster-builds',
      created: instant,
      expires: instant,
      state: 'active',
      holder: 'project/builds/worker',
      lastClaim: instant,
      nextRotation: instant,
      ...described,
    };
    assert.deepEqual(parseResult('describe-namespace', Buffer.from(JSON.stringify(view))), view);
  });

  it('the errors are those that the agent answers', () => {
    const unknownField = errorOf(() => parseRequestBody('ping', Buffer.from('{"a":1}')));
    assert.deepEqual(readError(blocks.take('leave it out')), unknownField);
    const unknownMethod = errorOf(() =>
      readRequest(
        {
          content: Buffer.from('{}'),
          bodyBytes: 2,
          exchange: '',
          routingKey: 'transfer-namespace',
          redelivered: false,
          properties: { correlationId: '1', contentType: 'application/json' },
        },
        '',
      ),
    );
    assert.deepEqual(readError(blocks.take('The method is unknown')), unknownMethod);
  });

  it('the event is one that the agent sends', () => {
    eventSchema('namespace.claimed').parse(JSON.parse(blocks.take('specversion').text));
  });
});
