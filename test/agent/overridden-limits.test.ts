import assert from 'node:assert/strict';
import type { StepReport } from '../../src/verify/step.ts';
import { useInstallation } from '../support/agent.ts';
import { untilSample } from '../support/agent-http.ts';
import { manage } from '../support/broker.ts';
import { linesWith } from '../support/test-log.ts';
import { claimTeam } from '../support/watched-installation.ts';
import { runVerification } from '../support/verification.ts';

describe('limits that another policy takes away', function () {
  this.timeout(180_000);
  const installation = useInstallation({ settings: { reconcileIntervalSeconds: 1, httpPort: 0 } });

  /** The steps about policies and limits. */
  async function verify(): Promise<StepReport[]> {
    const reports = await runVerification(installation().config);
    return reports.filter(({ step }) => ['policies', 'backstop', 'limits'].includes(step));
  }
  const outcomes = (reports: readonly StepReport[]): string[] =>
    reports.map(({ step, outcome }) => `${step} ${outcome}`);

  /** Puts a policy for every queue and exchange; it is deleted after `work`. */
  async function withPolicy(
    kind: 'policies' | 'operator-policies',
    vhost: string,
    policy: { priority: number; 'apply-to': string; definition: object },
    work: () => Promise<void>,
  ): Promise<void> {
    const path = `/${kind}/${encodeURIComponent(vhost)}/greedy`;
    await manage(installation().broker, 'PUT', path, { pattern: '.*', ...policy });
    try {
      await work();
    } finally {
      await manage(installation().broker, 'DELETE', path);
    }
  }

  it('by a policy for everything are logged, counted and found by verify, until it is gone', async () => {
    const { config, names, agent, logged } = installation();
    assert.deepEqual(outcomes(await verify()), ['policies ok', 'backstop ok', 'limits ok']);
    const policy = { priority: 1001, 'apply-to': 'all', definition: { 'message-ttl': 86_400_000 } };
    await withPolicy('policies', config.requestVhost, policy, async () => {
      await logged('limits_overridden', { overridden: new RegExp(names.requestQueue) });
      await untilSample(agent, 'pulse_agent_limits_overridden{of="agent"}', (count) => count === 4);
      const reports = await verify();
      assert.deepEqual(outcomes(reports), ['policies ok', 'backstop ok', 'limits failed']);
      assert.match(reports.at(-1)?.said ?? '', /requests lacks .*dead-letter-exchange \(policy greedy\)/);
    });
    await logged('limits_effective');
    await untilSample(agent, 'pulse_agent_limits_overridden{of="agent"}', (count) => count === 0);
  });

  it('by an operator policy are found by verify before a namespace has a queue', async () => {
    const { config } = installation();
    const rival = { priority: 5000, 'apply-to': 'queues', definition: { 'message-ttl': 86_400_000 } };
    await withPolicy('operator-policies', config.vhost, rival, async () => {
      const reports = await verify();
      assert.deepEqual(outcomes(reports), ['policies ok', 'backstop ok', 'limits failed']);
      assert.match(reports.at(-1)?.said ?? '', /will lack limits of the backstop \(operator policy greedy\)/);
    });
  });

  it('by operator policies, of the agent or of namespaces, are found from the effective policies', async () => {
    const { config, names, agent, log, logged } = installation();
    const team = await claimTeam(installation());
    const queue = `queue/${team.namespace}/unprotected`;
    await team.channel.assertQueue(queue);
    log.length = 0;
    const low = { priority: 1, 'apply-to': 'queues', definition: { 'max-length': 3 } };
    const rival = { priority: 5000, 'apply-to': 'queues', definition: { 'max-length': 1_000_000_000 } };
    const find = async (): Promise<void> => {
      const [, reports] = await Promise.all([logged('limits_overridden', { overridden: new RegExp(queue) }), verify()]);
      await untilSample(agent, 'pulse_agent_limits_overridden{of="namespaces"}', (count) => count === 1);
      await untilSample(agent, 'pulse_agent_limits_overridden{of="agent"}', (count) => count === 3);
      const all = linesWith(log, 'limits_overridden').at(-1);
      assert.match(
        JSON.stringify(all),
        new RegExp(`"${names.requestQueue}","policy":"greedy","limits":\\["max-length"`),
      );
      assert.deepEqual(outcomes(reports), ['policies ok', 'backstop ok', 'limits failed']);
    };
    await withPolicy('operator-policies', config.requestVhost, low, () =>
      withPolicy('operator-policies', config.vhost, rival, find),
    );
    await logged('limits_effective');
  });
});
