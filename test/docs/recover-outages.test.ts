import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import type { Agent } from '../../src/agent/agent.ts';
import { freePorts } from '../../dev/processes.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import type { HealthReport } from '../../src/observe/health.ts';
import { clientEnvironment, makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { healthOf, untilHealth, untilSample } from '../support/agent-http.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { pathWithCommandsOf } from '../support/broker-commands.ts';
import { addCleanup } from '../support/cleanup.ts';
import { runCommandLine } from '../support/command-line.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeFolder } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { linesWith } from '../support/test-log.ts';
import { claimTeam, LOW_THRESHOLDS, makeWatchedInstallation, waitUntil } from '../support/watched-installation.ts';
import { type Block, blocksOf, runShell } from './blocks.ts';

interface VerifiedStep {
  readonly step: string;
  readonly outcome: string;
  readonly remedy?: string;
}

/** The exit code of `pulse-agent ping` as a client, and what it said. */
async function ping(installation: TestInstallation, args: readonly string[] = []) {
  const run = await runCommandLine(['ping', ...args], clientEnvironment(installation));
  return { code: await run.exited, said: run.stderr() };
}

/** The steps of `pulse-agent verify --no-end-to-end`, by name. */
async function verify(installation: TestInstallation): Promise<ReadonlyMap<string, VerifiedStep>> {
  const run = await runCommandLine(['verify', '--no-end-to-end', '--json'], installation.environment);
  await run.exited;
  const { steps } = JSON.parse(run.stdout()) as { steps: readonly VerifiedStep[] };
  return new Map(steps.map((step) => [step.step, step]));
}

describe('docs/recover.md: outages', function () {
  this.timeout(2 * BROKER_START_MS);
  const mongodb = useSharedMongoDB();
  let broker: LocalRabbitMQ;
  let path: string;
  let installation: TestInstallation;
  let agent: Agent;

  before('start a RabbitMQ of its own, and an agent', async () => {
    broker = await startRabbitMQ({ folder: makeFolder('outages') });
    addCleanup(() => broker.kill());
    path = await pathWithCommandsOf(broker);
    installation = await makeWatchedInstallation({ broker, settings: { httpPort: 0 } });
    agent = await installation.start();
  });

  const block = (containing: string): Block => {
    const found = blocksOf('docs/recover.md').find(({ text }) => text.includes(containing));
    assert.ok(found !== undefined, containing);
    return found;
  };
  /** Runs a command of RabbitMQ that the document names. */
  const run = async (text: string): Promise<string> =>
    (await runShell({ ...block('rabbitmq-diagnostics alarms'), text }, { env: { PATH: path } })).stdout;

  it('RabbitMQ has an alarm: found and cleared with the commands, after which waiting clients are answered', async () => {
    // The blocks are taken by test/docs/recover.test.ts.
    const find = block('rabbitmq-diagnostics alarms');
    await run('rabbitmqctl set_vm_memory_high_watermark 0.00001');
    await installation.logged('alarm_set');
    const { stdout } = await runShell(find, { env: { PATH: path } });
    assert.match(stdout, /memory/i);
    await assert.rejects(run('rabbitmq-diagnostics check_alarms'));
    assert.match((await ping(installation, ['--timeout', '3'])).said, /alarm/);
    assert.equal((await healthOf(agent)).parts.alarms.state, 'down');

    const waiting = installation.client().ping({ timeoutMs: 60_000 });
    await runShell(block('set_disk_free_limit'), { env: { PATH: path } });
    await installation.logged('alarm_cleared');
    await waiting;
    await run('rabbitmq-diagnostics check_alarms');
    assert.equal((await ping(installation)).code, 0);
  });

  it('the request queue was deleted: it is declared again, and pings are answered', async () => {
    const { config, names } = installation;
    const queue = `/queues/${encodeURIComponent(config.requestVhost)}/${encodeURIComponent(names.requestQueue)}`;
    await manage(broker, 'DELETE', queue);
    await installation.logged('request_queue_redeclared');
    assert.equal((await ping(installation)).code, 0);
    assert.equal((await verify(installation)).get('topology')?.outcome, 'ok');
  });

  it('there are dead letters: the metric counts them, and a header says why', async () => {
    const sample = 'pulse_agent_queue_messages{queue="dead"}';
    let before: number | undefined;
    // A request of a test before may be one: its requester gave up during the alarm.
    await untilSample(agent, sample, (messages) => (before = messages) !== undefined);
    const { rpcExchange } = installation.names;
    const requester = await installation.requester();
    const channel = await requester.connection.createChannel();
    channel.publish(rpcExchange, 'ping', Buffer.from('{}'), { correlationId: 'no-reply-address' });
    await untilSample(agent, sample, (messages) => messages === (before ?? 0) + 1);
    const letter = await (await installation.deadLetters()).of('no-reply-address');
    assert.match(String(letter.properties.headers?.['x-pulse-agent-reason']), /reply/);
  });

  it('a queue grows too large: plan names it, and the alert ends once it is consumed', async () => {
    const team = await claimTeam(installation);
    const queue = `queue/${team.namespace}/slow`;
    await team.channel.assertQueue(queue, { durable: true });
    await team.fill(queue, (LOW_THRESHOLDS.warnAtMessages ?? 0) + 5);
    await installation.logged('queue_warning', { queue });
    await untilSample(agent, 'pulse_agent_queue_alerts{level="warned"}', (count) => count === 1);
    await team.channel.purgeQueue(queue);
    await installation.logged('queue_recovered', { queue });
    await untilSample(agent, 'pulse_agent_queue_alerts{level="warned"}', (count) => count === 0);
  });

  // Each has agents of its own, or a Taskcluster.
  concurrentTests((it) => {
    it('Taskcluster is down: what is signed is Unavailable, the rest is answered, and claims succeed afterwards', async () => {
      const { taskcluster } = installation;
      const client = installation.client(TEAM);
      await taskcluster.refuseConnections();
      const namespace = teamNamespace();
      await assert.rejects(client.claimNamespace({ namespace }, { timeoutMs: 3000 }), { code: 'Unavailable' });
      await (await installation.rpc()).request('list-namespaces', {});
      await untilHealth(agent, ({ ready, parts: { auth } }) => !ready && auth.state === 'down');
      assert.equal((await verify(installation)).get('taskcluster')?.outcome, 'failed');
      await taskcluster.acceptConnections();
      await client.claimNamespace({ namespace });
      assert.equal((await verify(installation)).get('taskcluster')?.outcome, 'ok');
    });

    it('one of several agents is gone: the request queue has a consumer less, until another one starts', async () => {
      const environment = { STORE_URL: mongoDatabase(mongodb()) };
      const several = await makeInstallation({ broker, environment, settings: { httpPort: 0 } });
      const [first, second] = [await several.start(), await several.start()];
      const consumers = async (): Promise<string | undefined> => {
        const text = await run(`rabbitmqctl list_queues -p ${several.config.requestVhost} name consumers`);
        return /\/requests\t(\d+)/.exec(text)?.[1];
      };
      const sample = 'pulse_agent_queue_consumers{queue="requests"}';
      await untilSample(first, sample, (count) => count === 2);
      assert.equal(await consumers(), '2');
      await second.stop();
      await untilSample(first, sample, (count) => count === 1);
      assert.equal((await ping(several)).code, 0);
      await several.start();
      await untilSample(first, sample, (count) => count === 2);
      assert.equal(await consumers(), '2');
    });

    it('the store is away: verify names the host, and everything works once it is back', async () => {
      const url = new URL(mongoDatabase(mongodb()));
      const relay = await makeRelay(Number(url.port), url.hostname);
      url.host = `127.0.0.1:${relay.port}`;
      const [port = 0] = await freePorts(1);
      const remote = await makeInstallation({
        broker,
        environment: { STORE_URL: url.href },
        settings: { httpPort: port },
      });
      // The built program: its parts that load late share the classes of its errors.
      const serving = await runCommandLine(['serve'], remote.environment);
      await serving.printed('agent_started');
      const client = remote.client(TEAM);
      const namespace = teamNamespace();
      const { connectionString } = await client.claimNamespace({ namespace });
      relay.cut();
      await serving.printed('"part_down"');
      const ready = async (): Promise<HealthReport> =>
        (await (await fetch(`http://127.0.0.1:${port}/readyz`)).json()) as HealthReport;
      await waitUntil(async () => (await ready()).parts.store?.state === 'down', 'readiness names the store');
      await (await connect(connectionString)).close();
      await assert.rejects(client.getNamespace(namespace, { timeoutMs: 10_000 }), { code: 'Unavailable' });
      const { outcome, remedy } = (await verify(remote)).get('store') ?? {};
      assert.equal(outcome, 'failed');
      assert.match(remedy ?? '', new RegExp(`127\\.0\\.0\\.1:${relay.port}`));
      relay.restore();
      await serving.printed('"part_up"');
      await client.claimNamespace({ namespace });
      assert.equal((await verify(remote)).get('store')?.outcome, 'ok');
      serving.signal('SIGTERM');
      assert.equal(await serving.exited, 0);
    });

    it('RabbitMQ was away for hours: with the agents stopped, plan shows what they will delete, and what is exempt stays', async () => {
      const settings = { rotationIntervalSeconds: 40, defaultLifetimeSeconds: 60 };
      const short = await makeInstallation({ broker, settings });
      const agentOfIt = await short.start();
      const expires = new Date(Date.now() + 8_000).toISOString();
      const [kept, other] = [teamNamespace(), teamNamespace()];
      const client = short.client(TEAM);
      for (const namespace of [kept, other]) {
        const { connectionString } = await client.claimNamespace({ namespace, expires });
        const owner = await (await openConnection(connectionString)).createChannel();
        await owner.assertQueue(`queue/${namespace}/work`, { durable: true });
      }
      await agentOfIt.stop();
      await waitUntil(() => Date.now() > Date.parse(expires), 'the namespaces have expired');
      const plan = await runCommandLine(['plan', '--horizon', '10m', '--all', '--json'], short.environment);
      assert.equal(await plan.exited, 0, plan.stderr());
      const { namespaces } = JSON.parse(plan.stdout()) as { namespaces: { namespace: string; action: string }[] };
      const deleted = namespaces.filter(({ action }) => action === 'delete').map(({ namespace }) => namespace);
      assert.deepEqual(deleted.toSorted(), [kept, other].toSorted(), plan.stdout());

      const exempt = await runCommandLine(['exempt', `queue/${kept}/work`, '--until', '1h'], short.environment);
      assert.equal(await exempt.exited, 0, exempt.stderr());
      await short.start();
      await short.logged('namespace_deleted', { namespace: other });
      await client.claimNamespace({ namespace: kept });
      const admin = await (await openConnection(short.vhost.amqpUrl)).createChannel();
      await admin.checkQueue(`queue/${kept}/work`);
    });
  });

  it('RabbitMQ is away: agents and clients connect again by themselves, and what is overdue is done', async () => {
    const client = installation.client(TEAM);
    const namespace = teamNamespace();
    const { connectionString } = await client.claimNamespace({ namespace });
    const before = installation.log.length;
    await broker.stop();
    await installation.found((lines) => linesWith(lines.slice(before), 'part_down', { part: 'topology' })[0]);
    const steps = await verify(installation);
    assert.equal(steps.get('management-api')?.outcome, 'failed');
    assert.match(steps.get('management-api')?.remedy ?? '', /127\.0\.0\.1:\d+/);
    assert.equal((await ping(installation, ['--timeout', '3'])).code, 4);
    const downSinceS = Date.now() / 1000;
    await broker.start();
    await installation.found((lines) => linesWith(lines.slice(before), 'part_up', { part: 'topology' })[0]);
    assert.equal((await ping(installation)).code, 0);
    await (await connect(connectionString)).close();
    await client.claimNamespace({ namespace });
    // The test of "Jobs fail or do not run".
    for (const job of ['rotate-namespaces', 'reconcile-broker', 'survey-queues']) {
      const sample = `pulse_agent_job_last_success_timestamp_seconds{job_name="${job}"}`;
      await untilSample(agent, sample, (at) => (at ?? 0) > downSinceS);
    }
    await untilHealth(agent, ({ ready }) => ready);
  });
});
