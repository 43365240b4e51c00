import assert from 'node:assert/strict';
import { openManagement } from '../../src/broker/management/open-management.ts';
import { connectTo } from '../../src/client/rpc-connection.ts';
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

describe('the round of verify', function () {
  this.timeout(120_000);
  const installation = useInstallation();

  /** A round of the team's own, and how to go a part of its way. */
  function makeRound(more: Partial<EndToEndCheckOptions> = {}) {
    const { config, taskcluster, claimantUrl } = installation();
    const namespace = teamNamespace();
    const management = openManagement(config);
    addCleanup(() => management.close());
    const { id, audience } = config;
    const round = createEndToEndCheck({
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
    addCleanup(() => round.close());
    return { namespace, round, run: (...names: string[]) => run(round, names) };
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

  it('claims for minutes, and no longer the second time: what it cannot release is soon gone by itself', async () => {
    const { namespace, run: go } = makeRound();
    const reports = await go('ping', 'claim', 'connect', 're-claim');
    assert.deepEqual(
      reports.map(({ outcome }) => outcome),
      ['ok', 'ok', 'ok', 'ok'],
    );
    const leftMs = (await expiresOf(namespace)) - Date.now();
    assert.ok(leftMs > 10 * MINUTE_MS && leftMs < 20 * MINUTE_MS, `it lives for ${leftMs} ms`);
  });

  it('claims for as long as it may have to wait for the deletion of a queue', async () => {
    const config = { ...installation().config, surveyIntervalSeconds: 600 };
    const { namespace, run: go } = makeRound({ overgrown: true, config });
    await go('ping', 'claim');
    const leftMs = (await expiresOf(namespace)) - Date.now();
    assert.ok(leftMs > 40 * MINUTE_MS && leftMs < 50 * MINUTE_MS, `it lives for ${leftMs} ms`);
  });

  it('releases what it may have claimed when the reply to the claim is lost', async () => {
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
      round,
      run: go,
    } = makeRound({
      openRpc: async (connection) => losing(await openRpc(connection, { id, audience, credentials })),
    });
    const reports = await go('ping', 'claim');
    assert.equal(reports.at(-1)?.outcome, 'failed');
    await round.close();
    await installation().logged('request_served', { method: 'release-namespace', namespace, outcome: 'result' });
  });

  it('releases over another connection when the one that claimed is gone', async () => {
    const relay = await makeRelay(installation().broker.amqpPort);
    const url = new URL(installation().claimantUrl);
    url.port = String(relay.port);
    const { namespace, round, run: go } = makeRound({ firstClaimUrl: url.href });
    await go('ping', 'claim');
    relay.restore();
    await round.close();
    await installation().logged('request_served', { method: 'release-namespace', namespace, outcome: 'result' });
  });

  it('says how long it has waited, and for what, when a queue is not deleted', async () => {
    // The agent deletes at 8000, and time flies for who waits.
    const config = { ...installation().config, deleteAtMessages: 1, surveyIntervalSeconds: 60 };
    const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now() * 10_000 };
    const { round, run: go } = makeRound({ overgrown: true, config, clock });
    assert.equal(round.steps.find(({ name }) => name === 'overgrown')?.patienceMs, 210_000);
    const report = (await go('ping', 'claim', 'connect', 'publish', 'overgrown')).at(-1);
    assert.equal(report?.outcome, 'failed');
    assert.match(report.said, /has 2 messages and was not deleted in 210 s, .* every 60 s/);
    assert.match(String(report.remedy), /deleteAtMessages .* exemptQueues/);
  });

  it('waits for an hour at most', () => {
    const config = { ...installation().config, surveyIntervalSeconds: 86_400 };
    const { round } = makeRound({ overgrown: true, config });
    assert.equal(round.steps.find(({ name }) => name === 'overgrown')?.patienceMs, 3_600_000);
  });
});
