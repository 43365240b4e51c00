import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { checkFeatureFlags, checkVhostLimits, type VhostUse } from '../../src/verify/limit-steps.ts';
import type { Step, StepReport } from '../../src/verify/step.ts';
import { type VerificationOptions } from '../../src/verify/verification.ts';
import { useInstallation } from '../support/agent.ts';
import { manage } from '../support/broker.ts';
import { pathWithCommandsOf } from '../support/broker-commands.ts';
import { runVerification } from '../support/verification.ts';

describe('what no agent can change', function () {
  this.timeout(120_000);
  const installation = useInstallation();

  const report = async (name: string, options: Partial<VerificationOptions> = {}): Promise<StepReport> => {
    const isWanted = (step: Step): boolean => step.name === name || step.name === 'management-api';
    const reports = await runVerification(installation().config, options, isWanted);
    return reports.at(-1) ?? assert.fail('no step ran');
  };

  it('is sound on a new broker', async () => {
    assert.equal((await report('feature-flags')).outcome, 'ok');
    assert.equal((await report('vhost-limits')).said, 'no vhost has a limit of connections or queues');
  });

  it('includes the limits of a vhost: a queue that no tenant can declare is a fault', async () => {
    const { broker, vhost } = installation();
    const path = `/vhost-limits/${vhost.vhost}/max-queues`;
    await manage(broker, 'PUT', path, { value: 0 });
    try {
      const { outcome, said, remedy } = await report('vhost-limits');
      assert.equal(outcome, 'failed');
      assert.match(said, new RegExp(`max-queues of the vhost ${vhost.vhost}: 0 of 0`));
      assert.match(remedy ?? '', /rabbitmqctl set_vhost_limits/);
    } finally {
      await manage(broker, 'DELETE', path);
    }
  });

  it('includes operator policies: an operator can run the commands', async () => {
    const { broker, vhost, config } = installation();
    const policies = `/operator-policies/${encodeURIComponent(vhost.vhost)}`;
    for (const name of ['backstop', 'streams']) await manage(broker, 'DELETE', `${policies}/${config.id}-v1-${name}`);
    const { said, remedy = '' } = await report('backstop', {
      // RabbitMQ 3.10 has no such setting.
      wrapManagement: (management) => ({
        ...management,
        overview: async (options) => ({ ...(await management.overview(options)), areOperatorPoliciesFixed: true }),
      }),
    });
    assert.match(said, /missing or changed: .*forbids.*operator_policy_changes\.disabled/);
    const commands = remedy.slice(remedy.indexOf('rabbitmqctl'));
    const env = { ...process.env, PATH: await pathWithCommandsOf(broker) };
    await promisify(execFile)('bash', ['-ec', commands], { env });
    const after = await report('backstop');
    assert.equal(after.outcome, 'ok', JSON.stringify(after));
  });
});

describe('checkFeatureFlags', () => {
  it('fails for a flag that agents need, and only for one that is listed as off', () => {
    const on = { name: 'quorum_queue', isEnabled: true };
    assert.equal(checkFeatureFlags([]).outcome, 'ok');
    assert.equal(checkFeatureFlags([on, { name: 'khepri_db', isEnabled: false }]).outcome, 'ok');
    const { outcome, said, remedy } = checkFeatureFlags([on, { name: 'user_limits', isEnabled: false }]);
    assert.deepEqual([outcome, said], ['failed', 'off: user_limits']);
    assert.match(remedy ?? '', /enable_feature_flag all/);
  });
});

describe('checkVhostLimits', () => {
  const use: VhostUse = { vhost: 'v', limits: {}, queues: 3, connections: 2, isForTenants: false };

  it('shows how much is used, and takes -1 for no limit', () => {
    assert.equal(checkVhostLimits([{ ...use, limits: { 'max-queues': -1 } }]).outcome, 'ok');
    const { outcome, said } = checkVhostLimits([{ ...use, limits: { 'max-queues': 4, 'max-connections': 3 } }]);
    assert.deepEqual(
      [outcome, said],
      ['ok', 'max-queues of the vhost v: 3 of 4, max-connections of the vhost v: 2 of 3'],
    );
  });

  it('fails where a limit is reached, and only warns of queues where tenants declare none', () => {
    const full = { ...use, limits: { 'max-queues': 3 } };
    assert.equal(checkVhostLimits([full]).outcome, 'warning');
    assert.equal(checkVhostLimits([{ ...full, isForTenants: true }]).outcome, 'failed');
    assert.equal(checkVhostLimits([{ ...use, limits: { 'max-connections': 2 } }]).outcome, 'failed');
  });
});
