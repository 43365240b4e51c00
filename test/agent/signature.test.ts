import assert from 'node:assert/strict';
import { client as hawk } from 'hawk';
import taskclusterClient from 'taskcluster-client';
import { DIRECT_REPLY_TO } from '../../src/contract/names.ts';
import { type ClientCredentials, payloadHash, type SigningInput } from '../../src/contract/signature.ts';
import { OTHER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import type { RawReply } from '../support/requester.ts';

const seconds = (fromNow: number) => Math.floor(Date.now() / 1000) + fromNow;

function refused({ json }: RawReply, reason: RegExp): void {
  assert.equal(json['code'], 'AuthenticationFailed', JSON.stringify(json));
  assert.equal(json['retryable'], false);
  assert.match(String(json['message']), reason);
}

describe('signatures over AMQP', () => {
  const installation = useInstallation();
  const team = () => installation().taskcluster.credentials(TEAM);

  /** A valid claim of the team, except for what is given. */
  const claim = async (signed: Partial<SigningInput>, credentials: ClientCredentials = team()): Promise<RawReply> => {
    const requester = await installation().requester();
    const body = { namespace: teamNamespace() };
    return await requester.request({ method: 'claim-namespace', body, credentials, signed });
  };

  const wrong: readonly (readonly [string, () => Partial<SigningInput>, RegExp])[] = [
    ['another audience', () => ({ audience: 'pulse-agent' }), /Bad mac.* audience is /],
    ['another body', () => ({ body: Buffer.from('{}') }), /does not cover this body/],
    ['another method', () => ({ method: 'get-namespace' }), /Bad mac/],
    ['another reply address', () => ({ replyTo: 'queue/taskcluster-team/q' }), /Bad mac/],
    ['another correlation id', () => ({ correlationId: 'other' }), /Bad mac/],
    ['a time too long ago', () => ({ timestampSeconds: seconds(-302) }), /timestamp .* agent time/],
    ['a time too far ahead', () => ({ timestampSeconds: seconds(302) }), /timestamp .* agent time/],
    ['a foreign key', () => ({ credentials: { ...team(), accessToken: 'x'.repeat(44) } }), /Bad mac/],
    ['an unknown client', () => ({ credentials: { ...team(), clientId: 'unknown' } }), /Taskcluster rejected/],
  ];
  for (const [what, signed, reason] of wrong) {
    it(`AuthenticationFailed: ${what}`, async () => refused(await claim(signed()), reason));
  }

  it('a time within the allowed difference is accepted', async () => {
    for (const fromNow of [-295, 295]) {
      assert.equal((await claim({ timestampSeconds: seconds(fromNow) })).properties.type, 'result');
    }
  });

  it('AuthenticationFailed: no signature, or a malformed header', async () => {
    const requester = await installation().requester();
    const body = { namespace: teamNamespace() };
    const content = Buffer.from(JSON.stringify(body));
    const correlationId = 'made-by-hand';
    const { audience } = installation().config;
    const resource = `/v1/claim-namespace?replyTo=${DIRECT_REPLY_TO}&correlationId=${correlationId}`;
    const { clientId: id, accessToken: key } = team();
    /** Signed with Taskcluster's own library, and valid for Taskcluster with all these options. */
    const byHawk = (options: object): string =>
      hawk.header(`https://${audience}:443${resource}`, 'POST', {
        credentials: { id, key, algorithm: 'sha256' },
        ...options,
      }).header;
    const hash = payloadHash(content);
    const right = byHawk({ hash });
    const headers: readonly (readonly [Record<string, unknown>, RegExp])[] = [
      [{}, /authorization is missing/],
      [{ Authorization: right }, /authorization is missing/],
      [{ authorization: '' }, /authorization is missing/],
      [{ authorization: 'Bearer x' }, /scheme Hawk/],
      [{ authorization: byHawk({}) }, /must have a hash/],
      [{ authorization: byHawk({ hash: payloadHash(Buffer.from('x')) }) }, /does not cover this body/],
      [{ authorization: byHawk({ hash: 'x'.repeat(44) }) }, /must have a hash/],
      [{ authorization: byHawk({ hash, timestamp: 'abc' }) }, /ts of exactly ten digits/],
      [{ authorization: byHawk({ hash, timestamp: `0${seconds(0)}` }) }, /ts of exactly ten digits/],
      [{ authorization: byHawk({ hash, timestamp: `${seconds(0)}.5` }) }, /ts of exactly ten digits/],
      [{ authorization: `${right}, mac="x"` }, /twice/],
      [{ authorization: byHawk({ hash, credentials: { id: 'a b', key, algorithm: 'sha256' } }) }, /id of 1 to 256/],
      [{ authorization: right.replace(/nonce="[^"]*"/, 'nonce=""') }, /./],
      [{ authorization: `${right}${' '.repeat(4096)}` }, /4096 characters/],
    ];
    for (const [header, reason] of headers) {
      const sent = requester.compose({ method: 'claim-namespace', body: content, correlationId, headers: header });
      refused(await requester.request(sent), reason);
    }
    const sent = requester.compose({
      method: 'claim-namespace',
      body: content,
      correlationId,
      headers: { authorization: right },
    });
    assert.equal((await requester.request(sent)).properties.type, 'result', 'the one that is right');
  });

  it('an obviously invalid signature causes no call to Taskcluster', async () => {
    const { calls } = installation().taskcluster;
    const before = calls.authenticateHawk;
    await claim({ timestampSeconds: seconds(-400) });
    await claim({ body: Buffer.from('{}') });
    await (await installation().requester()).request({
      method: 'claim-namespace',
      body: { namespace: teamNamespace() },
    });
    assert.equal(calls.authenticateHawk, before);
    await claim({});
    assert.equal(calls.authenticateHawk, before + 1);
  });

  it('temporary credentials, named or not, need their certificate and have only its scopes', async () => {
    const namespace = teamNamespace();
    const times = { start: taskclusterClient.fromNow('-1 minute'), expiry: taskclusterClient.fromNow('1 hour') };
    const make = (options: { scopes: string[]; clientId?: string; start?: Date; expiry?: Date }) =>
      taskclusterClient.createTemporaryCredentials({ ...times, credentials: team(), ...options }) as ClientCredentials;
    const request = async (credentials: ClientCredentials) => {
      const requester = await installation().requester();
      return await requester.request({ method: 'claim-namespace', body: { namespace }, credentials });
    };
    const scopes = [`pulse:namespace:${namespace}`];
    assert.equal((await request(make({ scopes }))).properties.type, 'result');
    assert.equal((await request(make({ scopes, clientId: 'team/temporary' }))).properties.type, 'result');

    const elsewhere = await request(
      make({ scopes: ['pulse:namespace:taskcluster-team-elsewhere'], clientId: 'team/t' }),
    );
    assert.deepEqual(elsewhere.json['details'], { required: scopes[0], clientId: 'team/t' });
    const { certificate: _certificate, ...bare } = make({ scopes });
    refused(await request(bare), /Bad mac/);
    refused(await request(make({ scopes: ['pulse:namespace:*'] })), /Taskcluster rejected/);
    const past = { start: new Date(Date.now() - 7_200_000), expiry: new Date(Date.now() - 3_600_000) };
    refused(await request(make({ scopes, ...past })), /expiry < now/);
  });

  it('authorizedScopes limit what a client may do', async () => {
    const namespace = teamNamespace();
    const requester = await installation().requester();
    const request = (authorizedScopes: string[]) =>
      requester.request({
        method: 'claim-namespace',
        body: { namespace },
        credentials: { ...team(), authorizedScopes },
      });
    assert.equal((await request([`pulse:namespace:${namespace}`])).properties.type, 'result');
    assert.equal((await request(['pulse:namespace:taskcluster-team-x'])).json['code'], 'InsufficientScopes');
    assert.equal((await request([])).json['code'], 'InsufficientScopes');
    assert.equal((await request(['pulse:namespace:*'])).json['code'], 'AuthenticationFailed');
  });

  it('a replay over another reply channel is ReplayDetected; a redelivery is served again', async () => {
    const requester = await installation().requester();
    const namespace = teamNamespace();
    const sent = requester.compose({ method: 'claim-namespace', body: { namespace }, credentials: team() });
    const first = await requester.request(sent);
    const again = await requester.request(sent);
    assert.equal(again.properties.type, 'result');
    assert.equal(again.json['connectionString'], first.json['connectionString']);

    const replay = await (await installation().requester()).request(sent);
    assert.equal(replay.json['code'], 'ReplayDetected');
    assert.equal(replay.json['retryable'], false);
    assert.ok(!replay.content.includes(new URL(String(first.json['connectionString'])).password));
  });

  it('one nonce for two requests is ReplayDetected, one nonce of two clients is not', async () => {
    const nonce = 'the-same-nonce';
    const requester = await installation().requester();
    const ask = (clientId: string, namespace: string) =>
      requester.request({
        method: 'claim-namespace',
        body: { namespace },
        credentials: installation().taskcluster.credentials(clientId),
        signed: { nonce },
      });
    assert.equal((await ask(TEAM, teamNamespace())).properties.type, 'result');
    assert.equal((await ask(TEAM, teamNamespace())).json['code'], 'ReplayDetected');
    assert.equal((await ask(OTHER, 'taskcluster-other-nonce')).properties.type, 'result');
  });

  it('one nonce for two bodies or methods is ReplayDetected, also with one correlation id over one channel', async () => {
    const requester = await installation().requester();
    const [first, second] = [teamNamespace(), teamNamespace()];
    for (const namespace of [first, second]) {
      await requester.request({ method: 'claim-namespace', body: { namespace }, credentials: team() });
    }
    const ask = async (method: string, namespace: string) => {
      const signed = { nonce: 'always-the-same' };
      const request = { method, body: { namespace }, correlationId: 'always-the-same', credentials: team(), signed };
      return (await requester.request(request)).json;
    };
    assert.equal((await ask('release-namespace', first))['state'], 'expiring');
    assert.equal((await ask('release-namespace', second))['code'], 'ReplayDetected');
    assert.equal((await ask('claim-namespace', first))['code'], 'ReplayDetected');
    const { json } = await requester.request({ method: 'get-namespace', body: { namespace: second } });
    assert.equal(json['state'], 'active');
  });

  it('an invalid signature uses no nonce', async () => {
    const requester = await installation().requester();
    const body = { namespace: teamNamespace() };
    const nonce = 'used-by-a-forger';
    const forged = { ...team(), accessToken: 'x'.repeat(44) };
    await requester.request({ method: 'claim-namespace', body, credentials: forged, signed: { nonce } });
    const { properties } = await requester.request({
      method: 'claim-namespace',
      body,
      credentials: team(),
      signed: { nonce },
    });
    assert.equal(properties.type, 'result');
  });

  it('the RabbitMQ user of a request is logged, and cannot be forged', async () => {
    const requester = await installation().requester();
    const { claimantUser } = installation().names;
    const sent = requester.compose({ method: 'ping', options: { userId: claimantUser } });
    await requester.request(sent);
    const { userId } = await installation().logged('request_served', { correlationId: sent.correlationId });
    assert.equal(userId, claimantUser);
    const channel = await (await openConnection(installation().claimantUrl)).createChannel();
    const closed = new Promise<Error & { code?: number }>((resolve) => channel.once('error', resolve));
    channel.publish(installation().names.rpcExchange, 'ping', Buffer.from('{}'), { userId: 'another-user' });
    assert.equal((await closed).code, 406);
  });
});
