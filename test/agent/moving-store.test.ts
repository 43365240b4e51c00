import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { openStoreToRead } from '../../src/store/open-store-to-read.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { makeInstallation, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { builtProgram } from '../support/built-agent.ts';
import { assertCredentialsWork, assertHonoured, openPatientRpc } from '../support/claim-assertions.ts';
import { runToEnd } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { objectsOf, untilDeleted } from '../support/namespace-lifecycle.ts';
import { linesWith } from '../support/test-log.ts';

/** What an agent logs where store and broker do not fit. */
const MISFITS = [
  'account_repaired',
  'claimant_repaired',
  'drift_repaired',
  'namespace_refused',
  'namespace_work_failed',
  'record_advanced',
  'secret_missing',
  'unknown_users',
] as const;

describe('moving an installation to another store', function () {
  this.timeout(BROKER_START_MS);
  const mongodb = useSharedMongoDB();

  it('from LMDB to MongoDB and back: leases go on, credentials stay valid, rotations come as planned, nothing is repaired', async () => {
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 12 } });
    const { environment, taskcluster, claimantPassword } = installation;
    const [folder, file] = [makeFolder('moved'), join(makeFolder('export'), 'store.export')];
    const [inMongoDB, inLmdb] = [mongoDatabase(mongodb()), `lmdb:${join(folder, 'store')}`];

    const first = await installation.start();
    const [leased, claimedOnce, released] = [teamNamespace(), teamNamespace(), teamNamespace()];
    const rpc = await openPatientRpc(installation);
    const lease = await installation.client().lease({ namespace: leased, contact: 'owner@example.com' });
    const lost: unknown[] = [];
    lease.on('lost', (error) => lost.push(error));
    const held = await connect(lease.connectionString);
    const closed: unknown[] = [];
    held.on('close', () => closed.push('closed'));
    const claimed = await rpc.request('claim-namespace', { namespace: claimedOnce });
    await rpc.request('claim-namespace', { namespace: released });
    await rpc.request('release-namespace', { namespace: released });
    await untilDeleted(installation, rpc, released);

    const busy = await runToEnd(['export', file], environment);
    assert.deepEqual([busy.exitCode, statSync(file, { throwIfNoEntry: false })], [4, undefined]);
    assert.match(busy.stderr, /held by process \d+: stop that agent/);
    await first.stop();

    const exported = await runToEnd(['export', file, '--retire', '--json'], environment);
    assert.equal(exported.exitCode, 0, exported.stderr);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const secrets = [
      environment['PULSE_AGENT_SECRET'] ?? '',
      claimantPassword,
      ...[lease.connectionString, claimed.connectionString].map((url) => new URL(url).password),
      ...Object.values(taskcluster.credentials('team/service')).filter((value) => value !== 'team/service'),
    ];
    for (const secret of secrets) assert.ok(!readFileSync(file, 'utf8').includes(secret));
    const again = await runToEnd(['export', file], environment);
    assert.equal(again.exitCode, 2);
    assert.match(again.stderr, /cannot be created \(EEXIST\)/);
    const retired = await runToEnd(['serve'], environment);
    assert.equal(retired.exitCode, 3);
    assert.match(retired.stderr, /was retired by an export/);

    const imported = await runToEnd(['import', file, '--json'], { ...environment, STORE_URL: inMongoDB });
    assert.equal(imported.exitCode, 0, imported.stderr);
    const [from, to] = [JSON.parse(exported.stdout), JSON.parse(imported.stdout)];
    assert.deepEqual([to.storeId, to.collections, to.marker], [from.storeId, from.collections, 'this']);
    assert.ok(from.collections.namespaces.count === 3 && from.collections.nonces.count >= 4);
    await assertHonoured(claimed, assertCredentialsWork);

    const before = await recordIn(inMongoDB, leased);
    const logged = installation.log.length;
    const second = await installation.start({ environment: { STORE_URL: inMongoDB } });
    await assertHonoured(claimed, assertCredentialsWork);
    const reclaimed = await rpc.request('claim-namespace', { namespace: claimedOnce });
    await assertCredentialsWork(reclaimed);
    assert.equal(reclaimed.created, claimed.created);
    await rotatedAsPlanned(installation, before);
    await once(lease, 'renewed');
    await (await connect(lease.connectionString)).close();

    for (const command of [
      ['export', join(folder, 'busy'), '--without-broker'],
      ['import', file, '--without-broker', '--replace'],
    ]) {
      const { exitCode, stderr } = await runToEnd(command, { ...environment, STORE_URL: inMongoDB });
      assert.equal(exitCode, 4, stderr);
      assert.match(stderr, /An agent uses the store/);
    }
    // An agent on another store, which neither a lock nor the jobs of this one show.
    const elsewhere = await runToEnd(['import', file, '--replace'], environment);
    assert.equal(elsewhere.exitCode, 4);
    assert.match(elsewhere.stderr, RegExp(`An agent runs: .* has a consumer.*"${installation.config.id} requests"`));
    await second.stop();

    const piped = await runPiped(environment, inMongoDB, inLmdb);
    assert.equal(piped.exit, 0, piped.output);
    const beforeThird = await recordIn(inLmdb, leased);
    const third = await installation.start({ environment: { STORE_URL: inLmdb } });
    await assertHonoured(reclaimed, assertCredentialsWork);
    await rotatedAsPlanned(installation, beforeThird);
    await third.stop();
    for (const code of MISFITS) assert.deepEqual(linesWith(installation.log.slice(logged), code), [], code);
    assert.deepEqual([lost, closed], [[], []]);
    assert.deepEqual(await objectsOf(installation, released), []);
    await lease.stop();
    await held.close();
  });

  it('is refused where the export or the store does not fit, in one sentence and before the store is changed', async () => {
    const installation = await makeInstallation();
    const { environment } = installation;
    const file = join(makeFolder('export'), 'store.export');
    await (await installation.start()).stop();
    const fresh = `lmdb:${join(makeFolder('fresh'), 'store')}`;
    const refusals: [readonly string[], Record<string, string>, number, RegExp][] = [
      [['export', '-', '--retire'], {}, 2, /--retire needs a file/],
      [['export', join(file, 'x')], {}, 2, /cannot be created/],
      [['export', '-'], { STORE_URL: fresh }, 4, /There is no store in/],
      [['import', file], {}, 2, /cannot be read \(ENOENT\)/],
      [['import', makeFolder('folder')], {}, 2, /it is a folder/],
      [['import', 'package.json'], { STORE_URL: fresh }, 3, /This is no export of a store/],
      [['export', '-'], { RABBITMQ_MANAGEMENT_URL: 'http://127.0.0.1:9' }, 4, /127\.0\.0\.1:9/],
    ];
    for (const [args, given, code, message] of refusals) {
      const { exitCode, stderr } = await runToEnd(args, { ...environment, ...given });
      assert.equal(exitCode, code, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, message);
      assert.match(stderr.split('\n').findLast((line) => line !== '') ?? '', /^pulse-agent: [A-Z].*\.$/);
    }
    assert.equal((await runToEnd(['export', file, '--without-broker'], environment)).exitCode, 0);
    const used = await runToEnd(['import', file], environment);
    assert.deepEqual([used.exitCode, /not empty.*--replace/.test(used.stderr)], [3, true]);
    const settings = join(makeFolder('other-id'), 'other.yml');
    writeFileSync(settings, JSON.stringify({ id: 'another', requestVhost: installation.config.requestVhost }));
    const config = `${environment['PULSE_AGENT_CONFIG']}:${settings}`;
    const other = await runToEnd(['import', file], { ...environment, PULSE_AGENT_CONFIG: config, STORE_URL: fresh });
    assert.deepEqual([other.exitCode, /configuration has the id "another"/.test(other.stderr)], [3, true]);
  });
});

/** Runs `export - | import -`. */
async function runPiped(environment: Readonly<Record<string, string>>, from: string, to: string) {
  const program = `'${process.execPath}' '${await builtProgram()}'`;
  const line = `STORE_URL='${from}' ${program} export - | STORE_URL='${to}' ${program} import -`;
  const child = spawn('bash', ['-euo', 'pipefail', '-c', line], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [exit] = (await once(child, 'close')) as [number | null];
  return { exit, output };
}

async function recordIn(storeUrl: string, namespace: string): Promise<NamespaceRecord> {
  const store = await openStoreToRead(storeUrl);
  try {
    const record = await store.namespaces.get(namespace);
    assert.ok(record !== undefined);
    return record;
  } finally {
    await store.close();
  }
}

/** Waits for the next rotation, and asserts that it is the next one, and not before its time. */
async function rotatedAsPlanned({ logged }: TestInstallation, record: NamespaceRecord): Promise<void> {
  const { namespace, generation, nextRotationMs } = record;
  const { time } = await logged('namespace_rotated', { namespace, generation: generation + 1 });
  assert.ok(Date.parse(String(time)) >= nextRotationMs, `${String(time)} is before ${nextRotationMs}`);
}
