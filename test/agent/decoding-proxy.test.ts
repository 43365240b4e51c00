import assert from 'node:assert/strict';
import { isAgentError } from '../../src/util/agent-errors.ts';
import type { LogCode } from '../../src/util/log-codes.ts';
import { TEAM, type TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { makeManagementProxy, type ManagementProxy } from '../support/management-proxy.ts';
import { linesWith } from '../support/test-log.ts';
import {
  claimTeam,
  collectEvents,
  makeWatchedInstallation,
  queueExists,
  waitUntil,
} from '../support/watched-installation.ts';
import { runVerification } from '../support/verification.ts';

const DECODES = 'decodes %2F';

describe('an agent behind a proxy that decodes %2F', function () {
  this.timeout(180_000);
  const broker = useSharedBroker();
  let proxy: ManagementProxy;
  let installation: TestInstallation;
  beforeEach(async () => {
    const { amqpPort, managementPort } = broker();
    proxy = await makeManagementProxy(managementPort);
    installation = await makeWatchedInstallation({
      relays: { amqpPort, managementPort: proxy.port },
      settings: { reconcileIntervalSeconds: 2 },
    });
  });

  const lostNames = (error: unknown): boolean =>
    isAgentError(error, 'BrokerRefused') && error.message.includes(DECODES);

  it('does not start, and verify says why', async () => {
    proxy.decodeSlashes = true;
    await assert.rejects(installation.start(), lostNames);
    const reports = await runVerification(installation.config);
    const names = reports.find(({ step }) => step === 'names');
    assert.equal(names?.outcome, 'failed', JSON.stringify(reports));
    assert.match(`${names.said} ${names.remedy ?? ''}`, new RegExp(DECODES));
  });

  it('warns of a queue once, blames the proxy, and deletes queues and namespaces once it is repaired', async () => {
    await installation.start();
    const events = await collectEvents(installation);
    const team = await claimTeam(installation, 'owner@example.org');
    const other = await claimTeam(installation);
    await other.channel.assertQueue(`queue/${other.namespace}/any`);
    const queue = `queue/${team.namespace}/overgrown`;
    await team.channel.assertQueue(queue);

    proxy.decodeSlashes = true;
    await installation.logged('management_names_lost');
    await team.fill(queue, 60);
    await (await installation.rpc(TEAM)).request('release-namespace', { namespace: other.namespace });
    const triedTimes = (code: LogCode): number => linesWith(installation.log, code).length;
    await waitUntil(() => triedTimes('queue_not_processed') >= 2, 'two tries to delete the queue');
    await waitUntil(() => triedTimes('namespace_work_failed') >= 1, 'a try to delete the namespace');
    for (const line of linesWith(installation.log, 'namespace_work_failed')) {
      assert.match(JSON.stringify(line), new RegExp(DECODES));
    }
    const warnings = events.seen.filter(({ type, subject }) => type === 'queue.warning' && subject === queue);
    assert.equal(warnings.length, 1);
    assert.equal(await queueExists(installation, queue), true);

    proxy.decodeSlashes = false;
    await installation.logged('namespace_deleted', { namespace: other.namespace });
    await events.of('queue.deleted', queue);
    assert.equal(await queueExists(installation, queue), false);
  });
});
