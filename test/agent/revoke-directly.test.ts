import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import { loadConfig } from '../../src/config/config.ts';
import { openDirectRevoker } from '../../src/agent/direct-revocation.ts';
import { openStoreToRead } from '../../src/store/open-store-to-read.ts';
import { makeInstallation, OTHER, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { unique } from '../support/folders.ts';
import { runCommandLine } from '../support/command-line.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';

/** Claims, and stops the agent. */
async function claimAndStop(installation: TestInstallation, namespaces: readonly string[]): Promise<string[]> {
  const agent = await installation.start();
  const rpc = await installation.rpc(TEAM);
  const urls: string[] = [];
  for (const namespace of namespaces) {
    urls.push((await rpc.request('claim-namespace', { namespace })).connectionString);
  }
  await agent.stop();
  return urls;
}

async function assertUseless(url: string): Promise<void> {
  await assert.rejects(connect(url), /ACCESS_REFUSED|403/);
}

describe('revocation without a request', function () {
  this.timeout(BROKER_START_MS);

  it('works without agent and request queue: connections are closed, the password is changed, and it is audited', async () => {
    const installation = await makeInstallation();
    const { broker, vhost, names, environment } = installation;
    const namespace = teamNamespace();
    const [url = ''] = await claimAndStop(installation, [namespace]);
    await manage(
      broker,
      'DELETE',
      `/queues/${encodeURIComponent(vhost.requestVhost)}/${encodeURIComponent(names.requestQueue)}`,
    );
    const open = await openConnection(url);
    const closed = new Promise((resolve) => {
      open.once('close', resolve);
    });

    const asked = await runCommandLine(['revoke', '--direct', namespace], environment);
    assert.equal(await asked.exited, 2);
    assert.match(asked.stderr(), /add --yes/);
    await (await connect(url)).close();

    const run = await runCommandLine(
      ['revoke', '--direct', namespace, '--yes', '--until', '2h', '--json'],
      environment,
    );
    assert.equal(await run.exited, 0, run.stderr());
    const { revokedUntil } = JSON.parse(run.stdout()) as { revokedUntil: string };
    await closed;
    await assertUseless(url);

    const audit = await runCommandLine(['audit', '--namespace', namespace, '--json'], environment);
    assert.equal(await audit.exited, 0, audit.stderr());
    const last = JSON.parse(audit.stdout().trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    assert.equal(last['actor'], 'operator');
    assert.equal(last['action'], 'revocation');
    assert.deepEqual(last['details'], { revokedUntil });

    // An agent that starts later respects it.
    await installation.start();
    await assert.rejects((await installation.rpc(TEAM)).request('claim-namespace', { namespace }), {
      code: 'RequestConflict',
    });
  });

  it('revokes all namespaces, and resumes after an interruption', async () => {
    const installation = await makeInstallation();
    const { environment } = installation;
    const namespaces = [1, 2, 3].map((n) => `${unique('taskcluster-team')}-${n}`).toSorted();
    const urls = await claimAndStop(installation, namespaces);
    const some = await runCommandLine(['revoke', '--all', '--yes', '--after', namespaces[0] ?? ''], environment);
    assert.equal(await some.exited, 0, some.stderr());
    assert.match(some.stdout(), /The credentials of 2 namespaces/);
    await (await connect(urls[0] ?? '')).close();
    for (const url of urls.slice(1)) await assertUseless(url);
    const all = await runCommandLine(['revoke', '--all', '--yes', '--json'], environment);
    assert.equal(await all.exited, 0, all.stderr());
    assert.deepEqual(JSON.parse(all.stdout()), { revoked: 3, failed: [] });
    await assertUseless(urls[0] ?? '');
  });

  it('refuses contradictory arguments', async () => {
    for (const args of [
      ['revoke'],
      ['revoke', 'taskcluster-x', '--all'],
      ['revoke', 'taskcluster-x', '--after', 'y'],
    ]) {
      const run = await runCommandLine(args, {});
      assert.equal(await run.exited, 2);
      assert.match(run.stderr(), /^pulse-agent: [A-Z][^\n]*\.\n$/);
    }
  });

  it('requires that the agent on LMDB is stopped', async () => {
    const installation = await makeInstallation();
    await installation.start();
    const run = await runCommandLine(['revoke', '--all', '--yes'], installation.environment);
    assert.equal(await run.exited, 4);
    assert.match(run.stderr(), /stop that agent/);
  });
});

describe('revocation without a request, beside agents on MongoDB', function () {
  this.timeout(BROKER_START_MS);
  const mongodb = useSharedMongoDB();

  it('works while they serve and while the request queue is flooded', async () => {
    const installation = await makeInstallation({ environment: { STORE_URL: mongoDatabase(mongodb()) } });
    const { config, environment, taskcluster } = installation;
    await installation.start();
    const namespace = teamNamespace();
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    taskcluster.behave({ mode: 'hanging' });
    const flooder = await installation.requester();
    for (let sent = 0; sent < 1000; sent += 1) {
      await flooder.publish(
        flooder.compose({
          method: 'claim-namespace',
          body: { namespace },
          credentials: taskcluster.credentials(OTHER),
        }),
      );
    }
    const signal = new AbortController().signal;
    const revoker = await openDirectRevoker(loadConfig(environment), 'test', signal);
    try {
      assert.equal(await revoker.count(), 1);
      await revoker.one(namespace, undefined, signal);
    } finally {
      await revoker.close();
    }
    await assertUseless(connectionString);
    const store = await openStoreToRead(config.storeUrl.reveal());
    try {
      assert.equal((await store.namespaces.get(namespace))?.generation, 3);
    } finally {
      await store.close();
    }
    taskcluster.behave({ mode: 'normal' });
  });
});
