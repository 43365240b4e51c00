import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { markerNames } from '../../src/broker/marker.ts';
import { findExecutable } from '../../dev/processes.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage, sharedBroker } from '../support/broker.ts';
import { builtProgram } from '../support/built-agent.ts';
import { addCleanup } from '../support/cleanup.ts';
import { skipBecause } from '../support/skip.ts';
import { type CommandRun, runCommandLine } from '../support/command-line.ts';

const READY = 'agent_started';

async function serve(installation: TestInstallation): Promise<CommandRun> {
  const run = await runCommandLine(['serve'], installation.environment);
  await run.printed(READY);
  return run;
}

describe('the agent as a process', function () {
  this.timeout(60_000);

  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  it('stops when the broker is marked by another store', async () => {
    const installation = await makeInstallation({ settings: { reconcileIntervalSeconds: 1 } });
    const run = await serve(installation);
    const mark = { storeId: 'another', id: 'another', since: new Date().toISOString() };
    const name = markerNames(installation.config).at(-1) ?? assert.fail();
    await manage(installation.broker, 'PUT', `/global-parameters/${name}`, { name, value: mark });
    assert.equal(await run.exited, 3);
    assert.match(run.stdout(), /agent_must_stop/);
    assert.match(run.stderr(), /pulse-agent adopt/);
  });

  it('starts, serves, and on SIGTERM finishes its requests and exits with 0', async () => {
    const installation = await makeInstallation();
    const { taskcluster } = installation;
    const run = await serve(installation);
    const rpc = await installation.rpc(TEAM);
    await rpc.request('ping', {});

    taskcluster.behave({ mode: 'slow', delayMs: 1500 });
    const asked = taskcluster.nextCall('authenticateHawk');
    const inHand = rpc.request('claim-namespace', { namespace: teamNamespace() });
    await asked;
    run.signal('SIGTERM');
    await run.printed('"signal":"SIGTERM"');
    const waiting = await installation.requester();
    const left = waiting.compose({ method: 'ping' });
    const answered = waiting.replyTo(left.correlationId);
    answered.catch(() => undefined);
    await waiting.publish(left);
    assert.match((await inHand).connectionString, /^amqp:/);
    assert.equal(await run.exited, 0);
    assert.match(run.stdout(), /agent_stopped/);
    assert.equal(run.stderr(), '');
    // One line has the summary, and one each a risky choice; without a terminal there are only JSON lines.
    const records = run
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const started = records.filter(({ code }) => code === READY);
    assert.equal(started.length, 1);
    assert.match(String(started[0]?.['broker']), /^RabbitMQ \d+\.\d+\.\d+ at amqp:\/\/127\.0\.0\.1:\d+, cluster /);
    assert.match(String(started[0]?.['store']), /^LMDB in /);
    const choices = records.filter(({ level }) => level === 'warn').map(({ choice }) => choice);
    assert.ok(choices.includes('unsealed-replies'), String(choices));

    // A request that came too late waits for the next agent.
    const next = await serve(installation);
    assert.equal((await answered).properties.type, 'result');
    next.signal('SIGINT');
    assert.equal(await next.exited, 0);
  });

  it('on a terminal also prints a readable summary', async function () {
    const terminal = findExecutable('script');
    if (terminal === undefined) skipBecause(this, 'there is no script(1), which makes a terminal');
    const { environment } = await makeInstallation();
    const main = await builtProgram();
    const child = spawn(terminal, ['-qec', `exec "${process.execPath}" "${main}" serve`, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'], SHELL: '/bin/sh', ...environment },
    });
    addCleanup(() => void child.kill('SIGKILL'));
    let printed = '';
    const closed = once(child, 'close');
    await new Promise<void>((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
        if (/^! Replies with credentials need not be sealed/m.test(printed)) resolve();
      });
      child.once('close', () => reject(new Error(printed)));
    });
    assert.match(printed, /^Pulse Agent serves requests\.\r?$/m);
    assert.match(printed, /^ {2}broker +RabbitMQ \d/m);
    process.kill(Number(/"pid":(\d+)/.exec(printed)?.[1]), 'SIGTERM');
    await closed;
    assert.match(printed, /agent_stopped/);
  });

  it('exits at its stop deadline with a stuck request, which the next agent serves', async () => {
    const installation = await makeInstallation({ settings: { stopDeadlineSeconds: 1 } });
    const { taskcluster } = installation;
    taskcluster.behave({ mode: 'hanging' });
    const run = await serve(installation);
    const rpc = await installation.rpc(TEAM);
    const asked = taskcluster.nextCall('authenticateHawk');
    const inHand = rpc.request('claim-namespace', { namespace: teamNamespace() });
    await asked;
    const startedMs = performance.now();
    run.signal('SIGTERM');
    assert.equal(await run.exited, 0);
    assert.ok(performance.now() - startedMs < 4000, `it took ${performance.now() - startedMs} ms`);
    taskcluster.behave({ mode: 'normal' });
    const next = await serve(installation);
    assert.match((await inHand).connectionString, /^amqp:/);
    next.signal('SIGTERM');
    assert.equal(await next.exited, 0);
  });

  it('prints a sentence for every configuration fault and exits with 2', async () => {
    const run = await runCommandLine(['serve'], {
      RABBITMQ_URL: 'http://user:secret-in-url@localhost',
      PULSE_AGENT_SECRET: 'short',
      PULSE_AGENT_TYPO: 'x',
    });
    assert.equal(await run.exited, 2);
    assert.equal(run.stdout(), '');
    const lines = run.stderr().trim().split('\n');
    for (const line of lines) assert.match(line, /^pulse-agent: [A-Z].*\.$/);
    for (const name of ['rabbitmqUrl', 'PULSE_AGENT_SECRET', 'PULSE_AGENT_TYPO', 'TASKCLUSTER_ROOT_URL']) {
      assert.ok(
        lines.some((line) => line.includes(name)),
        name,
      );
    }
    assert.ok(!run.stderr().includes('secret-in-url') && !run.stderr().includes('short'));
  });

  it('prints a sentence about a wrong password and exits with 3', async () => {
    const { environment, vhost } = await makeInstallation();
    const run = await runCommandLine(['serve'], {
      ...environment,
      RABBITMQ_URL: vhost.amqpUrl.replace(vhost.password, 'secret-but-wrong'),
      RABBITMQ_MANAGEMENT_URL: vhost.managementUrl.replace(vhost.password, 'secret-but-wrong'),
    });
    assert.equal(await run.exited, 3);
    assert.match(run.stderr(), /^pulse-agent: [A-Z][^\n]*\.\n$/);
    assert.ok(!`${run.stdout()}${run.stderr()}`.includes('secret-but-wrong'));
  });

  it('refuses a broker that another store has marked, until the operator adopts it', async () => {
    const installation = await makeInstallation();
    const { broker, config, environment } = installation;
    const first = await serve(installation);
    first.signal('SIGTERM');
    assert.equal(await first.exited, 0);
    const parameter = `/global-parameters/${markerNames(config)[0]}`;
    const markBefore = (await manage(broker, 'GET', parameter)).body;

    rmSync(config.storeUrl.reveal().slice('lmdb:'.length), { recursive: true });
    const refused = await runCommandLine(['serve'], environment);
    assert.equal(await refused.exited, 3);
    assert.match(refused.stderr(), /^pulse-agent: The broker is marked since .*pulse-agent adopt[^\n]*\.\n$/);
    assert.deepEqual((await manage(broker, 'GET', parameter)).body, markBefore);

    const adopted = await runCommandLine(['adopt'], environment);
    assert.equal(await adopted.exited, 0);
    assert.match(adopted.stdout(), /now belongs to this store/);
    const audited = await runCommandLine(['audit', '--json'], environment);
    assert.equal(await audited.exited, 0);
    const { actor, action, details } = JSON.parse(audited.stdout());
    assert.deepEqual([actor, action, details], ['operator', 'adoption', { outcome: 'adopted' }]);
    const again = await serve(installation);
    assert.equal((await (await installation.rpc()).request('ping', {})).alive, true);
    again.signal('SIGTERM');
    assert.equal(await again.exited, 0);
  });

  it('refuses the store of another running agent', async () => {
    const installation = await makeInstallation();
    const first = await serve(installation);
    const second = await runCommandLine(['serve'], installation.environment);
    assert.equal(await second.exited, 4);
    assert.match(second.stderr(), /^pulse-agent: [A-Z][^\n]*\.\n$/);
    assert.equal((await (await installation.rpc()).request('ping', {})).alive, true);
    first.signal('SIGTERM');
    assert.equal(await first.exited, 0);
  });
});
