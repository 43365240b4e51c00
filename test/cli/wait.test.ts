import assert from 'node:assert/strict';
import { waitFor, waitLimitMs } from '../../src/cli/wait-for.ts';
import { openStoreToRead } from '../../src/store/open-store-to-read.ts';
import { clientEnvironment, REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { manage } from '../support/broker.ts';
import { runCommandLine } from '../support/command-line.ts';

describe('waiting for what a command asked for', () => {
  const { signal } = new AbortController();

  it('ends when it is done, or with a sentence when that takes too long', async () => {
    let checks = 0;
    await waitFor(async () => (checks += 1) === 3, { limitMs: 60_000, late: 'Late.', signal });
    assert.equal(checks, 3);
    await assert.rejects(
      waitFor(async () => false, { limitMs: 0, late: 'Late.', signal }),
      { code: 'Unavailable', message: 'Late.' },
    );
  });

  it('takes five minutes, or a duration', () => {
    assert.equal(waitLimitMs(undefined), undefined);
    assert.equal(waitLimitMs(true), 300_000);
    assert.equal(waitLimitMs('10m'), 600_000);
    assert.throws(() => waitLimitMs('soon'), /--wait/);
  });
});

describe('--wait', function () {
  this.timeout(120_000);
  // A short fence: the second closing of connections comes after seconds.
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 8 } });

  async function claimed(): Promise<string> {
    const namespace = teamNamespace();
    await (await installation().rpc(TEAM)).request('claim-namespace', { namespace });
    return namespace;
  }

  async function run(args: readonly string[], env: Record<string, string>): Promise<{ code: unknown; text: string }> {
    const { exited, stdout, stderr } = await runCommandLine(args, env);
    return { code: await exited, text: stdout() + stderr() };
  }

  async function recheckAtMs(namespace: string): Promise<number | null | undefined> {
    const store = await openStoreToRead(installation().config.storeUrl.reveal());
    try {
      return (await store.namespaces.get(namespace))?.recheckAtMs;
    } finally {
      await store.close();
    }
  }

  it('of release returns when nothing is left', async () => {
    const namespace = await claimed();
    const { code, text } = await run(['release', namespace, '--wait', '--json'], clientEnvironment(installation()));
    assert.equal(code, 0, text);
    assert.deepEqual(JSON.parse(text), { namespace, state: 'deleted' });
    const { broker, config } = installation();
    const user = `/users/${config.usernamePrefix}${namespace}-1`;
    assert.equal((await manage(broker, 'GET', user, undefined, [404])).status, 404);
  });

  it('of revoke returns when connections were closed a second time', async () => {
    const namespace = await claimed();
    const env = { ...installation().environment, ...clientEnvironment(installation(), REVOKER) };
    const { code, text } = await run(['revoke', namespace, '--wait'], env);
    assert.equal(code, 0, text);
    assert.match(text, /are revoked and none can have a connection any more\. It can be claimed again\.\n/);
    assert.equal(await recheckAtMs(namespace), null);
  });

  it('of revoke without the configuration of an agent revokes nothing', async () => {
    const namespace = await claimed();
    const { code, text } = await run(['revoke', namespace, '--wait'], clientEnvironment(installation(), REVOKER));
    assert.equal(code, 2, text);
    assert.match(text, /PULSE_AGENT_SECRET/);
    assert.equal(await recheckAtMs(namespace), null);
    await (await installation().rpc(TEAM)).request('claim-namespace', { namespace });
  });

  it('of revoke --direct finishes the revocation itself while no agent runs', async () => {
    const namespace = await claimed();
    await installation().agent.stop();
    const { code, text } = await run(['revoke', '--direct', namespace, '--yes', '--wait'], installation().environment);
    assert.equal(code, 0, text);
    assert.equal(await recheckAtMs(namespace), null);
  });
});
