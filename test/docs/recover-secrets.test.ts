import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'amqplib';
import { type Agent, startAgent } from '../../src/agent/agent.ts';
import { type Clock, systemClock } from '../../src/util/clock.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/util/log.ts';
import { TEAM, teamNamespace, type TestInstallation, useInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import {
  claimTeam,
  collectEvents,
  makeWatchedInstallation,
  NOTIFIER,
  waitUntil,
} from '../support/watched-installation.ts';

/** Starts another agent of the installation with these variables changed. */
async function startWith(
  installation: TestInstallation,
  changed: Record<string, string>,
  clock: Clock = systemClock,
): Promise<Agent> {
  const config = loadConfig({ ...installation.environment, ...changed });
  const write = (line: string): void => void installation.log.push(line);
  const started = await startAgent(config, { clock, log: createLog(config, { write }) });
  let stopped: Promise<void> | undefined;
  const agent: Agent = { ...started, stop: () => (stopped ??= started.stop()) };
  addCleanup(() => agent.stop());
  return agent;
}

describe('docs/recover.md: a secret has leaked, or is old', function () {
  this.timeout(120_000);
  useSharedBroker();
  const installation = useInstallation();

  it('the claimant’s password: clients with the old one are refused for first claims only', async () => {
    const { claimantUrl, agent } = installation();
    const namespace = teamNamespace();
    const { connectionString } = await (await installation().rpc(TEAM)).request('claim-namespace', { namespace });
    const password = randomBytes(18).toString('base64url');
    await agent.stop();
    await startWith(installation(), { PULSE_AGENT_CLAIMANT_PASSWORD: password });

    await assert.rejects(connect(claimantUrl), /ACCESS_REFUSED|403/);
    const fresh = new URL(claimantUrl);
    fresh.password = password;
    await (await installation().rpc(TEAM, fresh.href)).request('claim-namespace', { namespace: teamNamespace() });
    // A client that has claimed before keeps using its connection.
    const again = await (await installation().rpc(TEAM, connectionString)).request('claim-namespace', { namespace });
    assert.equal(again.connectionString, connectionString);
  });

  it('the Taskcluster access token: mails wait for the new one and are sent', async () => {
    const watched = await makeWatchedInstallation();
    const agent = await watched.start();
    const events = await collectEvents(watched);
    const team = await claimTeam(watched, 'the.owner@example.org');
    const accessToken = randomBytes(20).toString('hex');
    watched.taskcluster.setClient({ ...NOTIFIER, accessToken, scopes: ['notify:email:*'] });
    const queue = `queue/${team.namespace}/work`;
    await team.channel.assertQueue(queue, { durable: true });
    await team.fill(queue, watched.config.warnAtMessages);
    await events.of('queue.warning', queue);
    await watched.logged('notice_delayed', { error: 'AuthenticationFailed' });
    assert.equal(watched.taskcluster.mails.length, 0);

    await agent.stop();
    // The agent retries every ten minutes when Taskcluster refuses its client.
    const later: Clock = { ...systemClock, nowMs: () => Date.now() + 601_000 };
    await startWith(watched, { TASKCLUSTER_ACCESS_TOKEN: accessToken }, later);
    await waitUntil(() => watched.taskcluster.mails.length > 0, 'the mail is sent');
    assert.equal(watched.taskcluster.mails[0]?.address, 'the.owner@example.org');
  });
});
