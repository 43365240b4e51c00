import assert from 'node:assert/strict';
import { openManagement } from '../../src/broker/management/open-management.ts';
import { connectTo } from '../../src/client/amqp-connection.ts';
import { NoReply } from '../../src/client/client-errors.ts';
import { openRpc, type Rpc } from '../../src/client/rpc.ts';
import { systemClock } from '../../src/util/clock.ts';
import type { StepReport } from '../../src/verify/step.ts';
import {
  createEndToEndCheck,
  type EndToEndCheck,
  type EndToEndCheckOptions,
} from '../../src/verify/end-to-end-check.ts';
import { runSteps } from '../../src/verify/run-steps.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeRelay } from '../support/tcp-relay.ts';

const MINUTE_MS = 60_000;

describe('the end-to-end check', function () {
  this.timeout(120_000);
  const installation = useInstallation();

  /** A check with the credentials of the team, and a function that runs some of its steps. */
  function makeCheck(more: Partial<EndToEndCheckOptions> = {}) {
    const { config, taskcluster, claimantUrl } = installation();
    const namespace = teamNamespace();
    const management = openManagement(config);
    addCleanup(() => management.close());
    const { id, audience } = config;
    const check = createEndToEndCheck({
      config,
      management,
      clock: systemClock,
      namespace,
      connect: (url) => connectTo(url),
      openRpc: (connection) => openRpc(connection, { id, audience, credentials: taskcluster.credentials(TEAM) }),
      firstClaimUrl: claimantUrl,
      hasCredentials: true,
      overgrown: false,
      ...more,
    });
    addCleanup(() => check.close());
    return { namespace, check, run: (...names: string[]) => run(check, names) };
  }

  async function run({ steps }: EndToEndCheck, names: readonly string[]): Promise<StepReport[]> {
    return await runSteps(
      steps.filter(({ name }) => names.includes(name)),
      { clock: systemClock, signal: new AbortController().signal, onReport: () => undefined },
    );
  }

  async function expiresOf(namespace: string): Promise<number> {
    const rpc = await installation().rpc();
    return Date.parse((await rpc.request('get-namespace', { namespace })).expires);
  }

  it('claims for a quarter of an hour, both times: a namespace that is not released expires soon', async () => {
    const { namespace, run: runNamed } = makeCheck();
    const reports = await runNamed('ping', 'claim', 'connect', 're-claim');
    assert.deepEqual(
      reports.map(({ outcome }) => outcome),
      ['ok', 'ok', 'ok', 'ok'],
    );
    const leftMs = (await expiresOf(namespace)) - Date.now();
    assert.ok(leftMs > 10 * MINUTE_MS && leftMs < 20 * MINUTE_MS, `it lives for ${leftMs} ms`);
  });

  it('claims for the longest time that the deletion of a queue may take', async () => {
    const config = { ...installation().config, surveyIntervalSeconds: 600 };
    const { namespace, run: runNamed } = makeCheck({ overgrown: true, config });
    await runNamed('ping', 'claim');
    const leftMs = (await expiresOf(namespace)) - Date.now();
    assert.ok(leftMs > 40 * MINUTE_MS && leftMs < 50 * MINUTE_MS, `it lives for ${leftMs} ms`);
  });

  it('releases the namespace when the reply to the claim was lost', async () => {
    const losing = (rpc: Rpc): Rpc => ({
      ...rpc,
      async request(method, ...rest) {
        const result = await rpc.request(method, ...rest);
        if (method === 'claim-namespace') throw new NoReply('Lost by a test.', { confirmed: true });
        return result;
      },
    });
    const { id, audience } = installation().config;
    const credentials = installation().taskcluster.credentials(TEAM);
    const {
      namespace,
      check,
      run: runNamed,
    } = makeCheck({
      openRpc: async (connection) => losing(await openRpc(connection, { id, audience, credentials })),
    });
    const reports = await runNamed('ping', 'claim');
    assert.equal(reports.at(-1)?.outcome, 'failed');
    await check.close();
    await installation().logged('request_served', { method: 'release-namespace', namespace, outcome: 'result' });
  });

  it('releases over another connection when the first one is lost', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    const url = new URL(installation().claimantUrl);
    url.port = String(relay.port);
    const { namespace, check, run: runNamed } = makeCheck({ firstClaimUrl: url.href });
    await runNamed('ping', 'claim');
    relay.restore();
    await check.close();
    await installation().logged('request_served', { method: 'release-namespace', namespace, outcome: 'result' });
  });

  it('reports how long it waited for the deletion of a queue', async () => {
    // The agent deletes at 8000; the clock of the check runs 10,000 times faster.
    const config = { ...installation().config, deleteAtMessages: 1, surveyIntervalSeconds: 60 };
    const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() * 10_000 };
    const { check, run: runNamed } = makeCheck({ overgrown: true, config, clock });
    assert.equal(check.steps.find(({ name }) => name === 'overgrown')?.patienceMs, 210_000);
    const report = (await runNamed('ping', 'claim', 'connect', 'publish', 'overgrown')).at(-1);
    assert.equal(report?.outcome, 'failed');
    assert.match(report.said, /has 2 messages and was not deleted in 210 s, .* every 60 s/);
    assert.match(String(report.remedy), /deleteAtMessages .* exemptQueues/);
  });

  it('waits for one hour at most', () => {
    const config = { ...installation().config, surveyIntervalSeconds: 86_400 };
    const { check } = makeCheck({ overgrown: true, config });
    assert.equal(check.steps.find(({ name }) => name === 'overgrown')?.patienceMs, 3_600_000);
  });
});
