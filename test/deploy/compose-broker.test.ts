import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { systemClock } from '../../src/util/clock.ts';
import { createVerification } from '../../src/verify/verification.ts';
import { loadConfig } from '../../src/config/config.ts';
import { startRabbitMQ } from '../../dev/rabbitmq.ts';
import { startAgent } from '../../src/agent/agent.ts';
import { startTaskcluster } from '../../dev/taskcluster/server.ts';
import { createLog } from '../../src/util/log.ts';
import type { StepReport } from '../../src/verify/step.ts';
import { runSteps } from '../../src/verify/run-steps.ts';
import { BROKER_START_MS, openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { documentedRights } from '../support/documented-rights.ts';
import { makeFolder } from '../support/folders.ts';

const TOKEN = 'a-token-for-tests-that-is-long-enough-0001';

describe('RabbitMQ with the configuration of docker-compose.yml', function () {
  this.timeout(BROKER_START_MS);

  it('has one user, with the least permissions that an installation works with', async () => {
    const broker = await startRabbitMQ({
      folder: makeFolder('compose-broker'),
      extraConfig: `default_vhost = pulse\n${readFileSync('config/compose/rabbitmq.conf', 'utf8')}`,
    });
    addCleanup(() => broker.kill());
    const taskcluster = await startTaskcluster({
      directory: {
        clients: [
          {
            clientId: 'verifier',
            accessToken: TOKEN,
            scopes: ['pulse:namespace:taskcluster-verify-*', 'notify:email:*'],
          },
        ],
      },
    });
    addCleanup(() => taskcluster.close());
    const url = new URL(broker.amqpUrl);
    url.pathname = '/pulse';
    const defaults = loadConfig({
      RABBITMQ_URL: url.href,
      RABBITMQ_MANAGEMENT_URL: broker.managementUrl,
      STORE_URL: `lmdb:${makeFolder('compose-store')}`,
      TASKCLUSTER_ROOT_URL: taskcluster.rootUrl,
      TASKCLUSTER_CLIENT_ID: 'verifier',
      TASKCLUSTER_ACCESS_TOKEN: TOKEN,
      PULSE_AGENT_SECRET: 'x'.repeat(40),
      PULSE_AGENT_CLAIMANT_PASSWORD: 'claimant-password',
    });
    const config = { ...defaults, eventVhost: 'pulse' };
    const agent = await startAgent(config, { log: createLog({ logLevel: 'silent', id: 'test' }) });
    addCleanup(() => agent.stop());
    const failures = async (): Promise<StepReport[]> => {
      const verification = createVerification(config, { endToEnd: true, overgrown: false, isProduction: false });
      const signal = new AbortController().signal;
      try {
        const reports = await runSteps(verification.steps, { clock: systemClock, signal, onReport: () => undefined });
        return reports.filter(({ outcome }) => outcome === 'failed');
      } finally {
        await verification.close();
      }
    };
    assert.deepEqual(await failures(), []);
    const users = await broker.rabbitmqctl(['list_users', '--quiet']);
    assert.match(users, /pulse-agent\t\[administrator\]/);
    assert.match(users, /pulse-agent-claimant\t\[pulse-agent-[\w-]+\]/);
    assert.ok(!users.includes('guest'));

    // The documented permissions are slightly fewer than rabbitmq.conf can express.
    const { configure, write, read } = documentedRights();
    const events = '^queue/pulse-agent/v1/(broker|tenant)-events$';
    const withEvents = [configure, write, `${read}|^amq\\.rabbitmq\\.event$`].map((pattern) => `${pattern}|${events}`);
    await broker.rabbitmqctl(['set_permissions', '-p', 'pulse', 'pulse-agent', ...withEvents]);
    assert.deepEqual(await failures(), []);
    // Access to objects of other owners is refused.
    const channel = await (await openConnection(url.href)).createChannel();
    channel.on('error', () => undefined);
    await assert.rejects(channel.assertQueue('queue/other-x/q'), /ACCESS[-_]REFUSED/);
  });
});
