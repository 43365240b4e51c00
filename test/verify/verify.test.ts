import assert from 'node:assert/strict';
import { createVerification, type VerificationOptions } from '../../src/verify/verification.ts';
import { systemClock } from '../../src/util/clock.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/util/secret.ts';
import { type StepReport, verdictOn } from '../../src/verify/step.ts';
import { FORBIDDEN_OPERATIONS, tryForbiddenOperations } from '../../src/verify/forbidden-operations.ts';
import { runSteps } from '../../src/verify/run-steps.ts';
import { makeInstallation, NEWCOMER, type TestInstallation, useInstallation } from '../support/agent.ts';
import { manage, openConnection } from '../support/broker.ts';
import { runCommandLine } from '../support/command-line.ts';
import { waitUntil } from '../support/watched-installation.ts';

const VERIFIER = 'operator/verifier';
const TOKEN = 'a-token-for-tests-that-is-long-enough-0001';

/** The configuration of the installation with the Taskcluster client of the operator. */
function verifierConfig({ environment, taskcluster }: TestInstallation, more: Record<string, string> = {}): Config {
  taskcluster.setClient({
    clientId: VERIFIER,
    accessToken: TOKEN,
    scopes: ['pulse:namespace:taskcluster-verify-*', 'notify:email:*'],
  });
  return loadConfig({ ...environment, TASKCLUSTER_CLIENT_ID: VERIFIER, TASKCLUSTER_ACCESS_TOKEN: TOKEN, ...more });
}

async function verify(config: Config, options: Partial<VerificationOptions> = {}): Promise<StepReport[]> {
  const verification = createVerification(config, {
    endToEnd: false,
    overgrown: false,
    isProduction: false,
    measureStatistics: async () => ({ is: 'on', intervalMs: 5_000 }),
    ...options,
  });
  try {
    return await runSteps(verification.steps, {
      clock: systemClock,
      signal: new AbortController().signal,
      onReport: () => undefined,
    });
  } finally {
    await verification.close();
  }
}

function stepNamed(reports: readonly StepReport[], name: string): StepReport {
  const report = reports.find(({ step }) => step === name);
  assert.ok(report !== undefined, `there is no step ${name}`);
  return report;
}

/** These steps failed and no other: one fault is reported once. */
function assertFailed(reports: readonly StepReport[], names: readonly string[], remedy: RegExp): void {
  const failures = reports.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failures.map(({ step }) => step),
    names,
    JSON.stringify(failures),
  );
  for (const failure of failures) assert.match(failure.remedy ?? '', remedy);
}

/** The path of the agent's permissions in the management API. */
function permissionsPath({ vhost }: TestInstallation): string {
  return `/permissions/${encodeURIComponent(vhost.vhost)}/${vhost.user}`;
}

const EVERYTHING = { configure: '.*', write: '.*', read: '.*' };

describe('verify', function () {
  this.timeout(120_000);
  const installation = useInstallation();

  it('finds no fault in a sound installation, passes the end-to-end check, and leaves nothing behind', async () => {
    const before = await everythingOn(installation());
    const reports = await verify(verifierConfig(installation()), { endToEnd: true });
    assertFailed(reports, [], /./);
    for (const name of ['claim', 'connect', 'publish', 'refused', 're-claim', 'release', 'nothing-left', 'claimant']) {
      assert.equal(stepNamed(reports, name).outcome, 'ok');
    }
    assert.deepEqual(await everythingOn(installation()), before);
  });

  it('as a command prints a line a step and exits with 0, or with 1 when a step failed', async () => {
    const { environment } = installation();
    verifierConfig(installation());
    const sound = await runCommandLine(['verify'], {
      ...environment,
      TASKCLUSTER_CLIENT_ID: VERIFIER,
      TASKCLUSTER_ACCESS_TOKEN: TOKEN,
    });
    assert.equal(await sound.exited, 0, sound.stdout() + sound.stderr());
    assert.match(sound.stdout(), /^ok {4}deletion of the namespace: no account, queue or exchange/m);
    assert.match(sound.stdout(), /The installation works: \d+ ok/);
    assert.ok(!sound.stdout().includes(TOKEN) && !sound.stdout().includes(environment['PULSE_AGENT_SECRET'] ?? '?'));

    const without = await runCommandLine(['verify', '--json'], environment);
    assert.equal(await without.exited, 1);
    const report = JSON.parse(without.stdout()) as { well: boolean; verdict: string; steps: StepReport[] };
    assert.equal(report.well, false);
    assert.equal(report.verdict, 'broken');
    assertFailed(report.steps, ['claim'], /pulse:namespace:taskcluster-verify-\*/);
    assert.equal(without.stderr(), '');
  });

  it('reports a client that may not claim, and skips the steps after it', async () => {
    const { taskcluster } = installation();
    const { clientId, accessToken } = taskcluster.credentials(NEWCOMER);
    const reports = await verify(
      verifierConfig(installation(), { TASKCLUSTER_CLIENT_ID: clientId, TASKCLUSTER_ACCESS_TOKEN: accessToken }),
      { endToEnd: true },
    );
    assertFailed(reports, ['notify-scope', 'claim'], /scope/);
    assert.equal(stepNamed(reports, 'release').outcome, 'skipped');
  });

  it('names the audience of the agents when it signs for another one', async () => {
    const { config } = installation();
    const reports = await verify({ ...verifierConfig(installation()), audience: 'other.example' }, { endToEnd: true });
    const step = stepNamed(reports, 'claim');
    assert.equal(step.outcome, 'failed');
    assert.match(step.remedy ?? '', new RegExp(`Bad mac.* This agent's audience is ${config.audience}\\.`));
  });

  it('releases what it claimed when a later step fails', async () => {
    const config = verifierConfig(installation());
    const broken = createVerification(config, { endToEnd: true, overgrown: false, isProduction: false });
    const steps = broken.steps.filter(({ name }) => name === 'ping' || name === 'claim');
    await runSteps(steps, { clock: systemClock, signal: new AbortController().signal, onReport: () => undefined });
    await broken.close();
    await installation().logged('request_served', {
      method: 'release-namespace',
      namespace: /verify-/,
      outcome: 'result',
    });
  });

  it('finds every forbidden operation that an account is allowed', async () => {
    const { vhost, config } = installation();
    const everything = await openConnection(vhost.amqpUrl);
    const requests = await openConnection(vhost.requestUrl);
    const ownQueue = 'queue/taskcluster-verify-own/verify';
    const channel = await everything.createChannel();
    await channel.assertQueue(ownQueue, { exclusive: true });
    // The deletion of the previous test's namespace may still run.
    const isReleased = async (): Promise<boolean> =>
      (await everythingOn(installation())).every((name) => !/^users .*-verify-[0-9a-f]+-[12]$/.test(name));
    await waitUntil(isReleased, 'the accounts of released namespaces are deleted');
    const before = await everythingOn(installation());
    const allowed = await tryForbiddenOperations(
      { tenants: everything, requests },
      { id: config.id, namespace: 'taskcluster-verify-own', ownQueue },
    );
    assert.deepEqual(
      allowed,
      FORBIDDEN_OPERATIONS.map(({ what }) => what),
    );
    await everything.close();
    await requests.close();
    assert.deepEqual(
      await everythingOn(installation()),
      before.filter((name) => !name.includes(ownQueue)),
    );
  });

  it('finds that the password of the agent is wrong', async () => {
    const { vhost } = installation();
    const wrong = (url: string): Secret => new Secret(url.replace(vhost.password, 'wrong'));
    const reports = await verify({
      ...verifierConfig(installation()),
      rabbitmqUrl: wrong(vhost.amqpUrl),
      rabbitmqManagementUrl: wrong(vhost.managementUrl),
    });
    assertFailed(reports, ['management-api', 'agent-connection'], /credentials|password/);
  });

  it('finds that the broker is unreachable', async () => {
    const away = (scheme: string): Secret => new Secret(`${scheme}://agent:x@127.0.0.1:1/%2F`);
    const reports = await verify({
      ...verifierConfig(installation()),
      rabbitmqUrl: away('amqp'),
      rabbitmqManagementUrl: away('http'),
    });
    assertFailed(reports, ['management-api', 'agent-connection'], /RabbitMQ/);
  });

  it('names each address, and warns of one that is unreachable', async () => {
    const { vhost } = installation();
    const both = (url: string): Secret => new Secret(`${Object.assign(new URL(url), { port: '1' }).href},${url}`);
    const reports = await verify({
      ...verifierConfig(installation()),
      rabbitmqUrl: both(vhost.amqpUrl),
      rabbitmqManagementUrl: both(vhost.managementUrl),
    });
    for (const [name, port] of [
      ['management-api', new URL(vhost.managementUrl).port],
      ['agent-connection', new URL(vhost.amqpUrl).port],
    ] as const) {
      const { outcome, said, remedy } = stepNamed(reports, name);
      assert.equal(outcome, 'warning', name);
      assert.match(said, new RegExp(`127\\.0\\.0\\.1:1: .*Unavailable; .*127\\.0\\.0\\.1:${port}: `));
      assert.match(remedy ?? '', /cannot be reached/);
    }
    assert.deepEqual(
      reports.filter(({ outcome }) => outcome === 'failed'),
      [],
    );
  });

  it('finds that the event exchange is in another vhost', async () => {
    const reports = await verify({ ...verifierConfig(installation()), eventVhost: installation().vhost.vhost });
    const step = stepNamed(reports, 'event-exchange');
    assert.equal(step.outcome, 'failed');
    assert.match(step.remedy ?? '', /rabbitmq-plugins enable rabbitmq_event_exchange/);
    const { verdict, missing } = verdictOn(reports);
    assert.equal(verdict, 'limited');
    assert.ok(missing.includes('event exchange'), missing.join());
  });

  it('finds permissions that the agent lacks', async () => {
    const { broker } = installation();
    const config = verifierConfig(installation());
    await manage(broker, 'PUT', permissionsPath(installation()), { ...EVERYTHING, write: '^rpc/.*$' });
    try {
      assertFailed(await verify(config), ['agent-rights'], /set_permissions/);
    } finally {
      await manage(broker, 'PUT', permissionsPath(installation()), EVERYTHING);
    }
  });

  it('finds a claimant with too many permissions', async () => {
    const { broker, names } = installation();
    const config = verifierConfig(installation());
    const path = `/permissions/%2F/${names.claimantUser}`;
    await manage(broker, 'PUT', path, EVERYTHING);
    try {
      assertFailed(await verify(config), ['claimant'], /clear_permissions/);
    } finally {
      await manage(broker, 'DELETE', path);
    }
  });

  it('finds a missing policy and a missing binding', async () => {
    const { broker, config, names } = installation();
    const path = encodeURIComponent(config.requestVhost);
    const policy = `/policies/${path}/${config.id}-v1-dead`;
    const { body } = await manage(broker, 'GET', policy);
    await manage(broker, 'DELETE', policy);
    const binding = `/bindings/${path}/e/${encodeURIComponent(names.rpcExchange)}/q/${encodeURIComponent(names.requestQueue)}`;
    await manage(broker, 'DELETE', `${binding}/ping`);
    try {
      assertFailed(await verify(verifierConfig(installation())), ['policies', 'topology'], /Start an agent/);
    } finally {
      await manage(broker, 'PUT', policy, body);
      await manage(broker, 'POST', binding, { routing_key: 'ping' });
    }
  });

  it('finds that the limit of streams is missing, and names the limits that are there', async () => {
    const { broker, vhost, config } = installation();
    const limits = stepNamed(await verify(verifierConfig(installation())), 'backstop');
    assert.match(
      limits.said,
      /a queue keeps at most 80000 messages and 21474836480 bytes, a stream at most 10737418240/,
    );
    const policy = `/operator-policies/${encodeURIComponent(vhost.vhost)}/${config.id}-v1-streams`;
    const { body } = await manage(broker, 'GET', policy);
    await manage(broker, 'DELETE', policy);
    try {
      assertFailed(await verify(verifierConfig(installation())), ['backstop'], /Start an agent/);
    } finally {
      await manage(broker, 'PUT', policy, body);
    }
  });

  it('finds that Taskcluster is unreachable', async () => {
    const { taskcluster } = installation();
    const config = verifierConfig(installation());
    await taskcluster.refuseConnections();
    try {
      assertFailed(await verify(config), ['taskcluster'], /TASKCLUSTER_ROOT_URL/);
    } finally {
      await taskcluster.acceptConnections();
    }
  });

  it('finds that a login answers in place of Taskcluster', async () => {
    const { taskcluster } = installation();
    const config = verifierConfig(installation());
    try {
      taskcluster.behave({ mode: 'wrong', status: 200, contentType: 'text/html', body: '<html>Sign in</html>' });
      assertFailed(await verify(config), ['taskcluster'], /login/);
      taskcluster.behave({ mode: 'wrong', status: 302, body: '' });
      assertFailed(await verify(config), ['taskcluster'], /login/);
    } finally {
      taskcluster.behave({ mode: 'normal' });
    }
  });

  it('finds that the clock of this machine is wrong', async () => {
    const clock = { nowMs: () => Date.now() - 20 * 60_000, monotonicMs: () => performance.now() };
    const reports = await verify(verifierConfig(installation()), { clock });
    const step = stepNamed(reports, 'clock');
    assert.equal(step.outcome, 'failed');
    assert.match(step.said, /1200 s behind Taskcluster|1199 s behind Taskcluster/);
  });

  it('finds that a secret is missing', async () => {
    const rpc = await installation().rpc('team/service');
    await rpc.request('claim-namespace', { namespace: 'taskcluster-team-needs-secret' });
    const config = { ...verifierConfig(installation()), agentSecret: new Secret('x'.repeat(40)) };
    assertFailed(await verify(config), ['secrets'], /PULSE_AGENT_PREVIOUS_SECRETS/);
  });

  it('as a command says that the installation works with limits, with an exit code of its own', async () => {
    const rpc = await installation().rpc('team/service');
    await rpc.request('claim-namespace', { namespace: 'taskcluster-team-needs-secret' });
    const environment = { ...installation().environment, PULSE_AGENT_SECRET: 'x'.repeat(40) };
    const limited = await runCommandLine(['verify', '--no-end-to-end'], environment);
    assert.equal(await limited.exited, 5, limited.stdout() + limited.stderr());
    assert.match(limited.stdout(), /^LACK {2}agent secrets: /m);
    assert.match(limited.stdout(), /\nThe installation works with limits \(agent secrets\): \d+ ok, .* 1 failed/);
  });

  it('finds that no agent has run with this store', async () => {
    const empty = await makeInstallation();
    const reports = await verify(verifierConfig(empty), { endToEnd: true });
    assert.deepEqual(
      reports.filter(({ outcome }) => outcome === 'failed').map(({ step }) => step),
      ['store', 'marker', 'policies', 'backstop', 'topology', 'claimant', 'ping'],
    );
    for (const name of ['marker', 'topology', 'claimant']) {
      assert.match(stepNamed(reports, name).remedy ?? '', /Start an agent/);
    }
  });
});

describe('verify --overgrown', function () {
  this.timeout(120_000);
  const installation = useInstallation({
    settings: { warnAtMessages: 5, deleteAtMessages: 10, surveyIntervalSeconds: 1 },
  });

  it('fills a queue, waits for its deletion, and leaves nothing behind', async () => {
    const reports = await verify(verifierConfig(installation()), { endToEnd: true, overgrown: true });
    assertFailed(reports, [], /./);
    assert.match(stepNamed(reports, 'overgrown').said, /^deleted \d+ s after/);
    assert.equal(stepNamed(reports, 'nothing-left').outcome, 'ok');
  });
});

/** The names of all queues and exchanges in the installation's vhost, and of all users. */
async function everythingOn({ broker, vhost }: TestInstallation): Promise<string[]> {
  const found: string[] = [];
  const path = encodeURIComponent(vhost.vhost);
  for (const kind of [`queues/${path}`, `exchanges/${path}`, 'users']) {
    const { body } = await manage(broker, 'GET', `/${kind}`);
    found.push(...(body as { name: string }[]).map(({ name }) => `${kind} ${name}`));
  }
  return found.toSorted();
}
