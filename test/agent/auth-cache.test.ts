import assert from 'node:assert/strict';
import { once } from 'node:events';
import { loadConfig } from '../../src/config/config.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { makeInstallation, REVOKER, TEAM, teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { runVerification } from '../support/verification.ts';

const CACHE_SECONDS = 4;

/** The sum of the TTL, RabbitMQ's handshake_timeout below, and a second for a busy machine. */
const SETTINGS = {
  rotationIntervalSeconds: 8,
  reconcileIntervalSeconds: 1,
  handshakeTimeoutSeconds: CACHE_SECONDS + 2,
};

describe('a RabbitMQ that caches logins', function () {
  this.timeout(120_000);
  let broker: LocalRabbitMQ;
  before('start a RabbitMQ of its own', async function () {
    this.timeout(BROKER_START_MS);
    broker = await startRabbitMQ({
      folder: makeFolder('auth-cache'),
      plugins: ['rabbitmq_auth_backend_cache'],
      extraConfig: [
        'auth_backends.1 = cache',
        'auth_cache.cached_backend = internal',
        `auth_cache.cache_ttl = ${CACHE_SECONDS * 1000}`,
        'handshake_timeout = 1000',
      ].join('\n'),
    });
    addCleanup(() => broker.kill());
  });
  after('stop it', () => broker.kill());

  it('opens connections with a revoked password, and the agent closes them at the recheck', async () => {
    const installation = await makeInstallation({ broker, settings: SETTINGS });
    await installation.start();
    const namespace = teamNamespace();
    const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    const before = await openConnection(connectionString);
    const closed = once(before, 'close');
    await (await installation.rpc(REVOKER)).request('revoke-namespace', { namespace });
    await closed;
    const after = await openConnection(connectionString);
    await once(after, 'close');
    const account = new URL(connectionString).username;
    await installation.logged('audit', { action: 'connection-closing', namespace, details: { account } });
    await assert.rejects(openConnection(connectionString), /403/);
    await installation.remove();
  });

  it('is found by verify, from its plugins and from the credentials of a deleted namespace', async () => {
    const installation = await makeInstallation({ broker, settings: SETTINGS });
    await installation.start();
    const { environment, taskcluster } = installation;
    const accessToken = 'a-token-for-tests-that-is-long-enough-0001';
    const clientId = 'operator/verifier';
    taskcluster.setClient({ clientId, accessToken, scopes: ['pulse:namespace:taskcluster-verify-*'] });
    const config = loadConfig({
      ...environment,
      TASKCLUSTER_CLIENT_ID: clientId,
      TASKCLUSTER_ACCESS_TOKEN: accessToken,
    });
    const reports = await runVerification(config, { endToEnd: true });
    const about = (name: string) => reports.find(({ step }) => step === name);
    assert.equal(about('auth-cache')?.outcome, 'warning', JSON.stringify(reports));
    assert.equal(about('deleted-credentials')?.outcome, 'warning', JSON.stringify(reports));
    assert.match(about('deleted-credentials')?.remedy ?? '', /handshakeTimeoutSeconds/);
    await installation.remove();
  });
});
