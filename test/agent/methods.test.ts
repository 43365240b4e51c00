import assert from 'node:assert/strict';
import type { ConsumeMessage } from 'amqplib';
import { compactDecrypt, exportJWK, generateKeyPair } from 'jose';
import { parseInstant } from '../../src/contract/fields.ts';
import { generateReplyKey } from '../../src/contract/sealing.ts';
import { NEWCOMER, OTHER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { unique } from '../support/folders.ts';
import type { RawReply } from '../support/requester.ts';

const RESULT_FIELDS = ['connectionString', 'created', 'expires', 'namespace', 'reclaimAt'];

/** Checks what all methods' replies share; returns the body. */
function resultOf(reply: RawReply, correlationId: string): Record<string, unknown> {
  assert.equal(reply.properties.type, 'result', reply.content.toString());
  assert.equal(reply.properties.contentType, 'application/json');
  assert.equal(reply.properties.correlationId, correlationId);
  assert.equal(reply.fields.exchange, '');
  return reply.json;
}

describe('methods over AMQP', () => {
  const installation = useInstallation();
  const credentials = () => installation().taskcluster.credentials(TEAM);

  const claim = async (namespace: string, more: object = {}): Promise<Record<string, unknown>> => {
    const requester = await installation().requester();
    const body = { namespace, ...more };
    const reply = await requester.request({ method: 'claim-namespace', body, credentials: credentials() });
    assert.equal(reply.properties.type, 'result', reply.content.toString());
    return reply.json;
  };

  it('ping: unsigned', async () => {
    const requester = await installation().requester();
    const correlationId = unique('!~id');
    const json = resultOf(await requester.request({ method: 'ping', correlationId }), correlationId);
    assert.deepEqual(Object.keys(json).toSorted(), ['agent', 'alive', 'uptimeSeconds', 'version']);
    assert.equal(json['alive'], true);
    assert.equal(json['agent'], installation().config.id);
    assert.ok(Number.isInteger(json['uptimeSeconds']));
    assert.match(String(json['version']), /^\d+\.\d+\.\d+/);
  });

  it('claim-namespace: credentials that open a connection, in plain JSON', async () => {
    const requester = await installation().requester();
    const namespace = teamNamespace();
    const sent = requester.compose({ method: 'claim-namespace', body: { namespace }, credentials: credentials() });
    const json = resultOf(await requester.request(sent), sent.correlationId);
    assert.deepEqual(Object.keys(json).toSorted(), RESULT_FIELDS);
    assert.equal(json['namespace'], namespace);
    const url = new URL(String(json['connectionString']));
    const { config, vhost } = installation();
    assert.equal(url.username, `${config.usernamePrefix}${namespace}-1`);
    assert.match(url.password, /^[A-Za-z0-9_-]{43}$/);
    assert.equal(url.pathname, `/${vhost.vhost}`);
    await openConnection(url.href);
    const [created, expires, reclaimAt] = ['created', 'expires', 'reclaimAt'].map((name) =>
      parseInstant(String(json[name])),
    );
    assert.ok(created !== undefined && Math.abs(created - Date.now()) < 60_000);
    assert.ok(expires !== undefined && Math.abs(expires - created - config.defaultLifetimeSeconds * 1000) < 10_000);
    assert.ok(reclaimAt !== undefined);
    assert.ok(Math.abs(reclaimAt - created - 1.5 * config.rotationIntervalSeconds * 1000) < 10_000);
  });

  it('claim-namespace: sealed for a reply key', async () => {
    const requester = await installation().requester();
    const namespace = teamNamespace();
    const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'X25519' });
    const body = { namespace, replyKey: await exportJWK(publicKey) };
    const sent = requester.compose({ method: 'claim-namespace', body, credentials: credentials() });
    const { properties, content } = await requester.request(sent);
    assert.equal(properties.type, 'result');
    assert.equal(properties.contentType, 'application/jose');
    assert.equal(properties.correlationId, sent.correlationId);
    const [header = ''] = content.toString().split('.');
    const { alg, enc } = JSON.parse(Buffer.from(header, 'base64url').toString());
    assert.deepEqual([alg, enc], ['ECDH-ES', 'A256GCM']);
    // A library that shares no code with the agent.
    const { plaintext } = await compactDecrypt(content.toString(), privateKey);
    const json = JSON.parse(Buffer.from(plaintext).toString());
    assert.deepEqual(Object.keys(json).toSorted(), RESULT_FIELDS);
    await openConnection(json.connectionString);
  });

  it('claim-namespace: errors are plain with and without a reply key', async () => {
    const requester = await installation().requester();
    const { publicKey } = generateReplyKey();
    const body = { namespace: unique('taskcluster-other'), replyKey: publicKey };
    const sent = requester.compose({ method: 'claim-namespace', body, credentials: credentials() });
    const { properties, json } = await requester.request(sent);
    assert.equal(properties.type, 'error');
    assert.equal(properties.contentType, 'application/json');
    assert.equal(properties.correlationId, sent.correlationId);
    assert.deepEqual(json, {
      code: 'InsufficientScopes',
      message: `The client ${TEAM} needs the scope pulse:namespace:${body.namespace}.`,
      retryable: false,
      details: { required: `pulse:namespace:${body.namespace}`, clientId: TEAM },
    });
  });

  it('claim-namespace: a re-claim over the connection of the claimed account', async () => {
    const namespace = teamNamespace();
    const first = await claim(namespace);
    const requester = await installation().requester(String(first['connectionString']));
    const sent = requester.compose({ method: 'claim-namespace', body: { namespace }, credentials: credentials() });
    const again = resultOf(await requester.request(sent), sent.correlationId);
    assert.equal(again['connectionString'], first['connectionString']);
    assert.equal(again['created'], first['created']);
  });

  it('get-namespace: unsigned, with public fields only', async () => {
    const namespace = teamNamespace();
    const claimed = await claim(namespace, { contact: 'team@example.com' });
    const requester = await installation().requester();
    const sent = requester.compose({ method: 'get-namespace', body: { namespace } });
    assert.deepEqual(resultOf(await requester.request(sent), sent.correlationId), {
      namespace,
      created: claimed['created'],
      expires: claimed['expires'],
      state: 'active',
    });
    const missing = await requester.request({ method: 'get-namespace', body: { namespace: `${namespace}-no` } });
    assert.equal(missing.json['code'], 'ResourceNotFound');
    assert.equal(missing.json['retryable'], false);
  });

  it('get-namespace: with details for a signer that may claim it', async () => {
    const namespace = teamNamespace();
    await claim(namespace);
    const requester = await installation().requester();
    const get = async (clientId: string): Promise<Record<string, unknown>> => {
      const signer = installation().taskcluster.credentials(clientId);
      const sent = requester.compose({ method: 'get-namespace', body: { namespace }, credentials: signer });
      return resultOf(await requester.request(sent), sent.correlationId);
    };
    const details = (await get(TEAM))['details'] as Record<string, unknown>;
    assert.equal(details['holder'], TEAM);
    const { at, ...counts } = details['counts'] as Record<string, unknown>;
    assert.deepEqual(counts, { queues: 0, messages: 0, connections: 0 });
    for (const instant of [at, details['lastClaim'], details['nextRotation']])
      assert.match(String(instant), /^20\S+Z$/);
    for (const clientId of [OTHER, NEWCOMER]) assert.ok(!('details' in (await get(clientId))));
  });

  it('list-namespaces: sorted, in pages, without contacts', async () => {
    const names = [teamNamespace(), teamNamespace(), teamNamespace()];
    for (const namespace of names) await claim(namespace, { contact: 'team@example.com' });
    const requester = await installation().requester();
    const found: string[] = [];
    let continuationToken: unknown;
    do {
      const body = { limit: 2, ...(continuationToken === undefined ? {} : { continuationToken }) };
      const sent = requester.compose({ method: 'list-namespaces', body });
      const json = resultOf(await requester.request(sent), sent.correlationId);
      const page = json['namespaces'] as Record<string, unknown>[];
      assert.ok(page.length <= 2);
      for (const entry of page) {
        assert.deepEqual(Object.keys(entry).toSorted(), ['created', 'expires', 'namespace', 'state']);
        found.push(String(entry['namespace']));
      }
      continuationToken = json['continuationToken'];
    } while (continuationToken !== undefined);
    assert.deepEqual(found, found.toSorted());
    assert.equal(new Set(found).size, found.length);
    for (const name of names) assert.ok(found.includes(name));
  });

  it('an optional signature must be valid', async () => {
    const requester = await installation().requester();
    const right = await requester.request({ method: 'ping', credentials: credentials() });
    assert.equal(right.properties.type, 'result');
    const wrong = { ...credentials(), accessToken: 'wrong-0000000000000000000000' };
    const reply = await requester.request({ method: 'ping', credentials: wrong });
    assert.equal(reply.json['code'], 'AuthenticationFailed');
  });

  it('credentials of a namespace with every allowed character work', async () => {
    const namespace = `${teamNamespace()}_-Z9`;
    const { connectionString } = await claim(namespace);
    const channel = await (await openConnection(String(connectionString))).createConfirmChannel();
    await channel.assertExchange(`exchange/${namespace}/x`, 'topic');
    await channel.assertQueue(`queue/${namespace}/q`);
    await channel.bindQueue(`queue/${namespace}/q`, `exchange/${namespace}/x`, '#');
    const arrived = new Promise<ConsumeMessage | null>((resolve, reject) => {
      channel.consume(`queue/${namespace}/q`, resolve, { noAck: true }).catch(reject);
    });
    channel.publish(`exchange/${namespace}/x`, 'k', Buffer.from('m'));
    assert.equal((await arrived)?.content.toString(), 'm');
  });
});
