import assert from 'node:assert/strict';
import { createVerification, type VerificationOptions } from '../../src/verify/verification.ts';
import { systemClock } from '../../src/util/clock.ts';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { Secret } from '../../src/util/secret.ts';
import type { StepReport } from '../../src/verify/step.ts';
import { FORBIDDEN_OPERATIONS, tryForbiddenOperations } from '../../src/verify/forbidden-operations.ts';
import { runSteps } from '../../src/verify/run-steps.ts';
import { makeInstallation, NEWCOMER, type TestInstallation, useInstallation } from '../support/agent.ts';
import { manage, openConnection } from '../support/broker.ts';
import { runCommandLine } from '../support/command-line.ts';
import { waitUntil } from '../support/watched-installation.ts';

const VERIFIER = 'operator/verifier';
const TOKEN = 'a-token-for-tests-that-is-long-enough-0001';

/** The installation's configuration with the Taskcluster client of who verifies. */
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

/** Every step but these is well, so that one fault does not look like many. */
function assertFailed(reports: readonly StepReport[], names: readonly string[], remedy: RegExp): void {
  const failures = reports.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(
    failures.map(({ step }) => step),
    names,
    JSON.stringify(failures),
  );
  for (const { remedy: told } of failures) assert.match(told ?? '', remedy);
}

/** A path of the management API for the agent's own vhost. */
function rightsOf({ vhost }: TestInstallation): string {
  return `/permissions/${encodeURIComponent(vhost.vhost)}/${vhost.user}`;
}

const EVERYTHING = { configure: '.*', write: '.*', read: '.*' };

describe('verify', function () {
  this.timeout(120_000);
  const installation = useInstallation();

  it('finds a sound installation well, goes the whole round, and leaves nothing', async () => {
    const before = await everythingOn(installation());
    const reports = await verify(verifierConfig(installation()), { endToEnd: true });
    assertFailed(reports, [], /./);
    for (const name of ['claim', 'connect', 'publish', 'refused', 're-claim', 'release', 'nothing-left', 'claimant']) {
      assert.equal(stepNamed(reports, name).outcome, 'ok');
    }
    assert.deepEqual(await everythingOn(installation()), before);
  });

  it('as a command says a line for each step and exits with 0, and with 1 when something failed', async () => {
    const { environment } = installation();
    verifierConfig(installation());
    const sound = await runCommandLine(['verify'], {
      ...environment,
      TASKCLUSTER_CLIENT_ID: VERIFIER,
      TASKCLUSTER_ACCESS_TOKEN: TOKEN,
    });
    assert.equal(await sound.exited, 0, sound.stdout() + sound.stderr());
    assert.match(sound.stdout(), /^ok {4}what is left: no account, queue or exchange/m);
    assert.match(sound.stdout(), /The installation works: \d+ ok/);
    assert.ok(!sound.stdout().includes(TOKEN) && !sound.stdout().includes(environment['PULSE_AGENT_SECRET'] ?? '?'));

    const without = await runCommandLine(['verify', '--json'], environment);
    assert.equal(await without.exited, 1);
    const report = JSON.parse(without.stdout()) as { well: boolean; steps: StepReport[] };
    assert.equal(report.well, false);
    assertFailed(report.steps, ['claim'], /pulse:namespace:taskcluster-verify-\*/);
    assert.equal(without.stderr(), '');
  });

  it('says so when nobody may claim, and does not go on', async () => {
    const { taskcluster } = installation();
    const { clientId, accessToken } = taskcluster.credentials(NEWCOMER);
    const reports = await verify(
      verifierConfig(installation(), { TASKCLUSTER_CLIENT_ID: clientId, TASKCLUSTER_ACCESS_TOKEN: accessToken }),
      { endToEnd: true },
    );
    assertFailed(reports, ['notify-scope', 'claim'], /scope/);
    assert.equal(stepNamed(reports, 'release').outcome, 'skipped');
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

  it('finds all that credentials may do and should not', async () => {
    const { vhost, config } = installation();
    const everything = await openConnection(vhost.amqpUrl);
    const ownQueue = 'queue/taskcluster-verify-own/verify';
    const channel = await everything.createChannel();
    await channel.assertQueue(ownQueue, { exclusive: true });
    // What the test before released may still be on its way out.
    const isReleased = async (): Promise<boolean> =>
      (await everythingOn(installation())).every((name) => !/^users .*-verify-[0-9a-f]+-[12]$/.test(name));
    await waitUntil(isReleased, 'the accounts of released namespaces are gone');
    const before = await everythingOn(installation());
    const allowed = await tryForbiddenOperations(everything, {
      id: config.id,
      namespace: 'taskcluster-verify-own',
      ownQueue,
    });
    assert.deepEqual(
      allowed,
      FORBIDDEN_OPERATIONS.map(({ what }) => what),
    );
    await everything.close();
    assert.deepEqual(
      await everythingOn(installation()),
      before.filter((name) => !name.includes(ownQueue)),
    );
  });

  it('finds a wrong password of the agent', async () => {
    const { vhost } = installation();
    const wrong = (url: string): Secret => new Secret(url.replace(vhost.password, 'wrong'));
    const reports = await verify({
      ...verifierConfig(installation()),
      rabbitmqUrl: wrong(vhost.amqpUrl),
      rabbitmqManagementUrl: wrong(vhost.managementUrl),
    });
    assertFailed(reports, ['management-api', 'agent-connection'], /credentials|password/);
  });

  it('finds a broker that is not there', async () => {
    const away = (scheme: string): Secret => new Secret(`${scheme}://agent:x@127.0.0.1:1/%2F`);
    const reports = await verify({
      ...verifierConfig(installation()),
      rabbitmqUrl: away('amqp'),
      rabbitmqManagementUrl: away('http'),
    });
    assertFailed(reports, ['management-api', 'agent-connection'], /RabbitMQ/);
  });

  it('finds that the event exchange is not where it was said to be', async () => {
    const reports = await verify({ ...verifierConfig(installation()), eventVhost: installation().vhost.vhost });
    const step = stepNamed(reports, 'event-exchange');
    assert.equal(step.outcome, 'failed');
    assert.match(step.remedy ?? '', /rabbitmq-plugins enable rabbitmq_event_exchange/);
  });

  it('finds rights that the agent lacks', async () => {
    const { broker } = installation();
    const config = verifierConfig(installation());
    await manage(broker, 'PUT', rightsOf(installation()), { ...EVERYTHING, write: '^rpc/.*$' });
    try {
      assertFailed(await verify(config), ['agent-rights'], /set_permissions/);
    } finally {
      await manage(broker, 'PUT', rightsOf(installation()), EVERYTHING);
    }
  });

  it('finds a claimant with too many rights', async () => {
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

  it('finds a policy and a binding that somebody changed', async () => {
    const { broker, vhost, config, names } = installation();
    const path = encodeURIComponent(vhost.vhost);
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

  it('finds Taskcluster away', async () => {
    const { taskcluster } = installation();
    const config = verifierConfig(installation());
    await taskcluster.refuseConnections();
    try {
      assertFailed(await verify(config), ['taskcluster'], /TASKCLUSTER_ROOT_URL/);
    } finally {
      await taskcluster.acceptConnections();
    }
  });

  it('finds that the clock of this machine is off', async () => {
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

  it('finds that no agent has run, and that its store is not there', async () => {
    const empty = await makeInstallation();
    const reports = await verify(verifierConfig(empty), { endToEnd: true });
    assert.deepEqual(
      reports.filter(({ outcome }) => outcome === 'failed').map(({ step }) => step),
      ['store', 'marker', 'policies', 'topology', 'claimant', 'ping'],
    );
    for (const name of ['marker', 'topology', 'claimant']) {
      assert.match(stepNamed(reports, name).remedy ?? '', /Start an agent/);
    }
  });
});

describe('verify, asked for an overgrown queue', function () {
  this.timeout(120_000);
  const installation = useInstallation({
    settings: { warnAtMessages: 5, deleteAtMessages: 10, surveyIntervalSeconds: 1 },
  });

  it('fills one, sees it deleted, and leaves nothing', async () => {
    const reports = await verify(verifierConfig(installation()), { endToEnd: true, overgrown: true });
    assertFailed(reports, [], /./);
    assert.match(stepNamed(reports, 'overgrown').said, /^deleted \d+ s after/);
    assert.equal(stepNamed(reports, 'nothing-left').outcome, 'ok');
  });
});

/** Names of all that there is in the installation's vhost, and of all users, without what comes and goes by itself. */
async function everythingOn({ broker, vhost }: TestInstallation): Promise<string[]> {
  const found: string[] = [];
  const path = encodeURIComponent(vhost.vhost);
  for (const kind of [`queues/${path}`, `exchanges/${path}`, 'users']) {
    const { body } = await manage(broker, 'GET', `/${kind}`);
    found.push(...(body as { name: string }[]).map(({ name }) => `${kind} ${name}`));
  }
  return found.toSorted();
}
