import assert from 'node:assert/strict';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { Store } from '../../src/store/store.ts';
import { OTHER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { manage, openConnection } from '../support/broker.ts';

function inHours(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString();
}

describe('claim rules over AMQP', () => {
  let store: Store | undefined;
  const installation = useInstallation({
    settings: { accountLimits: { 'max-channels': 7 } },
    agent: { wrapStore: (opened) => (store = opened) },
  });
  const stored = async (namespace: string): Promise<NamespaceRecord> => {
    const record = await store?.namespaces.get(namespace);
    assert.ok(record);
    return record;
  };
  const claim = async (body: { namespace: string; expires?: string; contact?: string | null }) => {
    const rpc = await installation().rpc(TEAM);
    return await rpc.request('claim-namespace', body);
  };

  it('a claim never shortens expires; a later expires extends it', async () => {
    const namespace = teamNamespace();
    const first = await claim({ namespace, expires: inHours(48) });
    assert.equal((await claim({ namespace })).expires, first.expires);
    assert.equal((await claim({ namespace, expires: inHours(1) })).expires, first.expires);
    const later = inHours(72);
    assert.equal((await claim({ namespace, expires: later })).expires, later);
  });

  it('a first claim may have an expires below the default; reclaimAt is never after expires', async () => {
    const expires = inHours(0.5);
    const result = await claim({ namespace: teamNamespace(), expires });
    assert.equal(result.expires, expires);
    assert.equal(result.reclaimAt, expires);
  });

  it('the contact stays when omitted, is removed by null, and replaced by another', async () => {
    const namespace = teamNamespace();
    const contactAfter = async (body: { contact?: string | null }) => {
      await claim({ namespace, ...body });
      return (await stored(namespace)).contact;
    };
    assert.equal(await contactAfter({ contact: 'a@example.com' }), 'a@example.com');
    assert.equal(await contactAfter({}), 'a@example.com');
    assert.equal(await contactAfter({ contact: 'b@example.com' }), 'b@example.com');
    assert.equal(await contactAfter({ contact: null }), null);
  });

  for (const [what, expires, rule] of [
    ['past', inHours(-1), /^The field expires must be in the future/],
    ['too far', inHours(24 * 32), /^The field expires must be at most/],
  ] as const) {
    it(`an expires that is ${what} is an InputError and changes nothing`, async () => {
      const namespace = teamNamespace();
      await assert.rejects(claim({ namespace, expires }), {
        code: 'InputError',
        details: { field: 'expires' },
        message: rule,
      });
      assert.equal(await store?.namespaces.get(namespace), undefined);
      await claim({ namespace });
      const before = await stored(namespace);
      await assert.rejects(claim({ namespace, expires, contact: 'c@example.com' }), { code: 'InputError' });
      assert.deepEqual(await stored(namespace), before);
    });
  }

  it('another client with the scope may claim, one without it may not', async () => {
    const namespace = teamNamespace();
    const first = await claim({ namespace });
    installation().taskcluster.setClient({
      clientId: 'team/second',
      accessToken: 'second-0000000000000000000000',
      scopes: [`pulse:namespace:${namespace}`],
    });
    const second = await installation().rpc('team/second');
    const result = await second.request('claim-namespace', { namespace });
    assert.equal(result.connectionString, first.connectionString);
    assert.equal((await stored(namespace)).claimedBy, 'team/second');
    const other = await installation().rpc(OTHER);
    await assert.rejects(other.request('claim-namespace', { namespace }), { code: 'InsufficientScopes' });
    assert.equal((await stored(namespace)).claimedBy, 'team/second');
  });

  it('a revoked scope is missing at the next claim', async () => {
    const namespace = teamNamespace();
    const client = { clientId: 'team/leaving', accessToken: 'leaving-000000000000000000000' };
    installation().taskcluster.setClient({ ...client, scopes: [`pulse:namespace:${namespace}`] });
    const rpc = await installation().rpc(client.clientId);
    await rpc.request('claim-namespace', { namespace });
    installation().taskcluster.setClient({ ...client, scopes: [] });
    await assert.rejects(rpc.request('claim-namespace', { namespace }), { code: 'InsufficientScopes' });
    installation().taskcluster.removeClient(client.clientId);
    await assert.rejects(rpc.request('claim-namespace', { namespace }), { code: 'AuthenticationFailed' });
  });

  it('sixteen concurrent first claims return the same credentials, which work', async () => {
    const namespace = teamNamespace();
    const rpc = await installation().rpc(TEAM);
    const results = await Promise.all(
      Array.from({ length: 16 }, () => rpc.request('claim-namespace', { namespace, contact: null })),
    );
    const [connectionString = '', ...rest] = new Set(results.map((result) => result.connectionString));
    assert.deepEqual(rest, []);
    await openConnection(connectionString);
    assert.equal(new Set(results.map(({ created }) => created)).size, 1);
  });

  it('the account has one tag and the configured limits, and the standby account does not exist yet', async () => {
    const namespace = teamNamespace();
    await claim({ namespace });
    const { broker, config } = installation();
    const name = `${config.usernamePrefix}${namespace}`;
    const { body: user } = await manage(broker, 'GET', `/users/${name}-1`);
    const { tags } = user as { tags: string[] };
    assert.equal(tags.length, 1);
    assert.match(tags[0] ?? '', /^pulse-agent-[\w-]{22}$/);
    const { body: limits } = await manage(broker, 'GET', `/user-limits/${name}-1`);
    assert.deepEqual((limits as { value: unknown }[])[0]?.value, { 'max-channels': 7 });
    assert.equal((await manage(broker, 'GET', `/users/${name}-2`, undefined, [404])).status, 404);
  });

  it('no password is stored: none in the record, and only a salted hash on the broker', async () => {
    const namespace = teamNamespace();
    const { connectionString } = await claim({ namespace });
    const { password } = new URL(connectionString);
    assert.ok(!JSON.stringify(await stored(namespace)).includes(password));
  });
});

describe('an agent that requires sealed replies', () => {
  const installation = useInstallation({ settings: { requireSealedReplies: true } });

  it('refuses a claim without a reply key and serves one with it', async () => {
    const requester = await installation().requester();
    const namespace = teamNamespace();
    const credentials = installation().taskcluster.credentials(TEAM);
    const { json } = await requester.request({ method: 'claim-namespace', body: { namespace }, credentials });
    assert.equal(json['code'], 'InputError');
    assert.deepEqual(json['details'], { field: 'replyKey' });
    const rpc = await installation().rpc(TEAM);
    await openConnection((await rpc.request('claim-namespace', { namespace })).connectionString);
  });
});
