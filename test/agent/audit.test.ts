import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/util/clock.ts';
import type { AuditRecord } from '../../src/store/audit-records.ts';
import { openStore } from '../../src/store/open-store.ts';
import { makeInstallation, REVOKER, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { manage, openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { claimOnceAllowed, declareObjects } from '../support/namespace-lifecycle.ts';
import { linesWith } from '../support/test-log.ts';

const SETTINGS = { settings: { rotationIntervalSeconds: 4 } };
const CONTACT = 'the.owner@example.org';

/** The audit records in the store of a stopped agent. */
async function leftIn(installation: TestInstallation): Promise<AuditRecord[]> {
  const store = await openStore(installation.config.storeUrl.reveal(), { clock: systemClock, randomBytes });
  addCleanup(() => store.close());
  return await store.audit.list({ limit: 1000 });
}

describe('the audit', () => {
  useSharedBroker();

  it('records every change of a namespace with actor and reason, in the store and in the log', async function () {
    this.timeout(120_000);
    const installation = await makeInstallation(SETTINGS);
    const agent = await installation.start();
    const { broker, config } = installation;
    const rpc = await installation.rpc(TEAM);
    const namespace = teamNamespace();
    const account = `${config.usernamePrefix}${namespace}-1`;

    const { connectionString } = await rpc.request('claim-namespace', { namespace, contact: CONTACT });
    await rpc.request('claim-namespace', { namespace });
    await rpc.request('claim-namespace', { namespace, contact: null });
    await declareObjects(await openConnection(connectionString), namespace);
    await installation.logged('audit', { action: 'rotation', namespace });
    await manage(broker, 'DELETE', `/users/${encodeURIComponent(account)}`);
    await installation.logged('audit', { action: 'repair', subject: account });
    const held = await openConnection((await rpc.request('claim-namespace', { namespace })).connectionString);
    held.on('error', () => undefined);
    const revoker = await installation.rpc(REVOKER);
    await revoker.request('revoke-namespace', { namespace });
    const again = await claimOnceAllowed(rpc, namespace);
    await rpc.request('release-namespace', { namespace });
    await installation.logged('audit', { action: 'deletion', namespace });
    await agent.stop();

    const records = await leftIn(installation);
    const ofNamespace = records.filter((record) => record.namespace === namespace);
    const find = (action: AuditRecord['action'], reason?: string): AuditRecord => {
      const found = ofNamespace.find(
        (record) => record.action === action && (reason === undefined || record.reason === reason),
      );
      assert.ok(found !== undefined, `${action} ${reason ?? ''} is not in\n${JSON.stringify(ofNamespace, null, 1)}`);
      return found;
    };
    for (const record of [find('claim', 'first claim'), find('claim', 'contact changed'), find('release')]) {
      assert.deepEqual([record.actor, record.actorName, record.outcome], ['client', TEAM, 'done']);
      assert.match(String(record.requestId), /\S/);
      assert.ok(linesWith(installation.log, 'request_served', { correlationId: record.requestId }).length > 0);
    }
    assert.equal(ofNamespace.filter(({ action }) => action === 'claim').length, 2, 'renewals are coalesced');
    assert.equal(find('revocation').actorName, REVOKER);
    assert.equal(find('connection-closing', 'revoked').details['account'] !== undefined, true);
    for (const action of ['rotation', 'repair', 'deletion'] as const) {
      const record = find(action);
      assert.deepEqual([record.actor, record.actorName, record.requestId], ['agent', record.instance, null]);
    }
    assert.equal(find('repair').subject, account);
    assert.deepEqual(find('deletion').details, { queues: 2, exchanges: 1 });
    assert.equal(find('deletion').reason, 'released');

    const lines = linesWith(installation.log, 'audit', { name: 'audit' });
    assert.deepEqual(
      lines.map(({ id }) => String(id)).toSorted((a, b) => a.localeCompare(b)),
      records.map(({ id }) => id).toSorted((a, b) => a.localeCompare(b)),
    );
    const texts = [JSON.stringify(records), JSON.stringify(lines)];
    const passwords = [connectionString, again.connectionString].map((url) => new URL(url).password);
    for (const text of texts) {
      for (const secret of [CONTACT, ...passwords]) assert.ok(!text.includes(secret), secret);
    }
  });

  it('starts with the configuration, without secrets', async () => {
    const installation = await makeInstallation(SETTINGS);
    const agent = await installation.start();
    await agent.stop();
    const { config, environment } = installation;
    const records = await leftIn(installation);
    const configuration = records.find(({ action }) => action === 'configuration');
    assert.ok(configuration !== undefined);
    const { details } = configuration;
    assert.equal(details['rotationIntervalSeconds'], 4);
    assert.equal(details['namespacePrefix'], config.namespacePrefix);
    assert.equal(details['broker'], new URL(config.rabbitmqUrl.reveal()).host);
    assert.equal(details['store'], 'lmdb');
    const claimant = records.find(({ subject }) => subject === installation.names.claimantUser);
    assert.equal(claimant?.action, 'repair');
    const secrets = [
      environment['PULSE_AGENT_SECRET'],
      installation.claimantPassword,
      installation.vhost.password,
      installation.taskcluster.credentials(TEAM).accessToken,
    ];
    for (const secret of secrets) assert.ok(secret !== undefined && !JSON.stringify(records).includes(secret));
  });
});
