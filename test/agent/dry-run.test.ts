import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/util/clock.ts';
import { makePlan } from '../../src/plan/plan.ts';
import { startDryRun } from '../../src/agent/dry-run.ts';
import { createLog } from '../../src/util/log.ts';
import { openStore } from '../../src/store/open-store.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createTestLog, linesWith } from '../support/test-log.ts';
import { runCommandLine } from '../support/command-line.ts';

const MINUTE_MS = 60_000;

/** The state that an agent could change. */
async function stateOf({ broker, vhost, config }: TestInstallation): Promise<unknown> {
  const path = encodeURIComponent(vhost.vhost);
  const seen: unknown[] = [];
  const places = ['users', `vhosts/${path}/permissions`, 'user-limits', `policies/${path}`, 'global-parameters'];
  for (const place of [...places, `exchanges/${path}`, `bindings/${path}`]) {
    seen.push((await manage(broker, 'GET', `/${place}`)).body);
  }
  const { body } = await manage(broker, 'GET', `/queues/${path}`);
  seen.push((body as { name: string }[]).map(({ name }) => name).toSorted());
  const store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes });
  try {
    seen.push(await store.namespaces.list({ limit: 100 }));
  } finally {
    await store.close();
  }
  // Statistics change by themselves.
  return JSON.parse(
    JSON.stringify(seen, (key, value: unknown) => (key.startsWith('message_stats') ? undefined : value)),
  );
}

/** Makes an installation without an agent that has work of every kind. */
async function makeDrifted(): Promise<{
  installation: TestInstallation;
  rotated: string;
  expired: string;
  drifted: string;
}> {
  const installation = await makeInstallation({
    settings: {
      warnAtMessages: 5,
      deleteAtMessages: 10,
      rotationIntervalSeconds: 4,
      defaultLifetimeSeconds: 600,
      reconcileIntervalSeconds: 1,
      surveyIntervalSeconds: 1,
    },
  });
  const { broker, config, vhost } = installation;
  const agent = await installation.start();
  const rpc = await installation.rpc(TEAM);
  const [rotated, expired, drifted] = [teamNamespace(), teamNamespace(), teamNamespace()];
  await rpc.request('claim-namespace', { namespace: rotated });
  await rpc.request('claim-namespace', { namespace: drifted });
  const expires = new Date(Date.now() + MINUTE_MS / 2).toISOString();
  const { connectionString } = await rpc.request('claim-namespace', { namespace: expired, expires });
  const channel = await (await openConnection(connectionString)).createChannel();
  await channel.assertQueue(`queue/${expired}/work`, { durable: true });
  await agent.stop();
  const path = `/permissions/${encodeURIComponent(vhost.vhost)}/${config.usernamePrefix}${drifted}-1`;
  await manage(broker, 'DELETE', path);
  await letTimePass(installation);
  return { installation, rotated, expired, drifted };
}

/** Makes due what would be due in a minute. */
async function letTimePass({ config }: TestInstallation): Promise<void> {
  const store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes });
  try {
    for (const record of await store.namespaces.list({ limit: 100 })) {
      const { revision, nextRotationMs, expiresMs } = record;
      const earlier = { nextRotationMs: nextRotationMs - MINUTE_MS, expiresMs: expiresMs - MINUTE_MS };
      assert.ok(await store.namespaces.replace({ ...record, ...earlier, revision: revision + 1 }, revision));
    }
  } finally {
    await store.close();
  }
}

/** Makes a queue about which its owner would be warned; returns a function that removes it. */
async function makeGrown({ vhost, config }: TestInstallation, queue: string): Promise<() => Promise<unknown>> {
  const channel = await (await openConnection(vhost.amqpUrl)).createConfirmChannel();
  await channel.assertQueue(queue, { durable: true });
  for (let sent = 0; sent < config.warnAtMessages; sent += 1) channel.sendToQueue(queue, Buffer.from('x'));
  await channel.waitForConfirms();
  return () => channel.deleteQueue(queue);
}

describe('dry run and plan', function () {
  this.timeout(BROKER_START_MS);

  it('a dry run logs every kind of action, keeps running, and changes nothing', async () => {
    const { installation, rotated, expired, drifted } = await makeDrifted();
    const [grown, another] = [`queue/${drifted}/grown`, `queue/${drifted}/another`];
    await makeGrown(installation, grown);
    const before = await stateOf(installation);
    const { lines, write, logged } = createTestLog();
    const log = createLog(installation.config, { write });
    const dryRun = await startDryRun(installation.config, { log });
    addCleanup(() => dryRun.stop());
    await logged('dry_run_change', { call: 'putUser', subject: RegExp(`${rotated}-`) });
    await logged('dry_run_event', { type: 'namespace.rotated', data: { namespace: rotated } });
    await logged('dry_run_change', { call: 'deleteQueue', subject: `queue/${expired}/work` });
    await logged('dry_run_event', { type: 'namespace.expired', data: { namespace: expired } });
    await logged('dry_run_change', { call: 'putPermissions', subject: RegExp(`${drifted}-1$`) });
    await logged('dry_run_event', { type: 'account.repaired', data: { namespace: drifted } });
    await logged('dry_run_queue', { queue: grown, action: 'warn' });
    const remove = await makeGrown(installation, another);
    await logged('dry_run_queue', { queue: another });
    await dryRun.stop();
    assert.equal(linesWith(lines, 'dry_run_queue', { queue: grown }).length, 1, 'each action is logged once');
    await remove();
    assert.deepEqual(await stateOf(installation), before);
    assert.ok(!lines.some((line) => line.includes('"level":"error"')), lines.join(''));
  });

  it('a plan lists every action with its reason, and changes nothing', async () => {
    const { installation, rotated, expired, drifted } = await makeDrifted();
    const grown = `queue/${drifted}/grown`;
    await makeGrown(installation, grown);
    const before = await stateOf(installation);
    const options = { untilMs: Date.now() + 1000, signal: new AbortController().signal };
    const { namespaces, queues, broker } = await makePlan(installation.config, options);
    assert.deepEqual(
      queues.map(({ queue, action, why }) => [queue, action, why]),
      [[grown, 'warn', 'it has 5 messages, and owners are warned at 5']],
    );
    assert.ok(namespaces.some(({ namespace, action }) => namespace === rotated && action === 'rotate'));
    assert.ok(namespaces.some(({ namespace, action }) => namespace === expired && action === 'delete'));
    assert.deepEqual(broker.repairs, [
      { namespace: drifted, account: `${installation.config.usernamePrefix}${drifted}-1`, why: ['permissions'] },
    ]);
    const one = await makePlan(installation.config, { ...options, namespace: expired });
    assert.deepEqual(one.namespaces.map(({ action }) => action).at(-1), 'delete');
    assert.deepEqual(one.broker.repairs, []);

    const run = await runCommandLine(['plan', '--horizon', '1m'], installation.environment);
    assert.equal(await run.exited, 0, run.stderr());
    assert.match(run.stdout(), new RegExp(`${expired} +delete +it expires without`));
    assert.match(run.stdout(), new RegExp(`repair +.*${drifted}-1 +permissions`));
    assert.deepEqual(await stateOf(installation), before);
  });

  it('both run beside an agent, and a plan refuses the broker of another store', async () => {
    const installation = await makeInstallation();
    await installation.start();
    const run = await runCommandLine(['plan', '--json'], installation.environment);
    assert.equal(await run.exited, 0, run.stderr());
    const { namespaces, queues, broker } = JSON.parse(run.stdout()) as Record<
      'namespaces' | 'queues' | 'broker',
      object
    >;
    assert.deepEqual(namespaces, []);
    assert.deepEqual(broker, { repairs: [], connections: [], changes: [], unknown: [] });
    assert.deepEqual(queues, []);

    const other = await makeInstallation();
    const agent = await other.start();
    await agent.stop();
    const foreign = await runCommandLine(['plan'], {
      ...installation.environment,
      STORE_URL: other.environment['STORE_URL'] ?? '',
    });
    assert.equal(await foreign.exited, 3);
    assert.match(foreign.stderr(), /^pulse-agent: The broker is marked since/);
  });
});
