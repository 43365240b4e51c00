import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import type { Agent } from '../../src/agent/agent.ts';
import { assertNoneOnBroker } from '../../src/agent/running-agents.ts';
import { openManagement } from '../../src/broker/management/open-management.ts';
import type { Management } from '../../src/broker/management/management.ts';
import { measureStatistics } from '../../src/broker/statistics.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { systemClock, systemSleep } from '../../src/util/clock.ts';
import { scrape, untilHealth } from '../support/agent-http.ts';
import type { TestInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createCondition } from '../support/condition.ts';
import { makeFolder } from '../support/folders.ts';
import { linesWith } from '../support/test-log.ts';
import { interceptManagement } from '../support/step-observer.ts';
import {
  claimTeam,
  collectEvents,
  type CollectedEvents,
  makeWatchedInstallation,
  waitUntil,
} from '../support/watched-installation.ts';
import { runVerification } from '../support/verification.ts';

const MAX_AGE_SECONDS = 3_600;

/** Starts a private broker with these lines in rabbitmq.conf, and makes an installation on it. */
async function installOn(extraConfig: string): Promise<TestInstallation> {
  const broker = await startRabbitMQ({ folder: makeFolder('rabbitmq'), extraConfig });
  addCleanup(() => broker.kill());
  return await makeWatchedInstallation({
    broker,
    settings: { httpPort: 0, reconcileIntervalSeconds: 1, connectionMaxAgeSeconds: MAX_AGE_SECONDS },
  });
}

async function setMemoryAlarm(broker: LocalRabbitMQ, isSet: boolean): Promise<void> {
  await broker.rabbitmqctl(['set_vm_memory_high_watermark', isSet ? '0.000001' : '0.6']);
}

/** Counts the listings of alarms of an agent. */
function countListings() {
  let listings = 0;
  const condition = createCondition();
  return {
    wrapManagement: (management: Management): Management =>
      interceptManagement(management, async (step, call) => {
        const answer = await call();
        if (step === 'management.listAlarms') {
          listings += 1;
          condition.notify();
        }
        return answer;
      }),
    /** Waits for this many more of them. */
    async more(count: number): Promise<void> {
      const wanted = listings + count;
      await condition.wait(() => (listings >= wanted ? true : undefined), { failure: () => 'alarms are not listed' });
    },
  };
}

describe('a RabbitMQ that collects no statistics, as in the official image', function () {
  this.timeout(300_000);
  let installation: TestInstallation;
  let agent: Agent;
  let events: CollectedEvents;
  let aheadMs = 0;
  const alarms = countListings();
  before('start it, and an agent', async () => {
    installation = await installOn('management_agent.disable_metrics_collector = true');
    agent = await installation.start({
      wrapManagement: alarms.wrapManagement,
      clock: {
        nowMs: () => systemClock.nowMs() + aheadMs,
        monotonicMs: () => systemClock.monotonicMs() + aheadMs,
      },
    });
    events = await collectEvents(installation);
  });

  it('leaves the agent ready and degraded, and it logs and reports the duties that it cannot do', async () => {
    const { parts } = await untilHealth(agent, ({ ready, degraded }) => ready && degraded);
    assert.equal(parts.statistics.state, 'down');
    assert.match(parts.statistics.reason ?? '', /exclusive queues .* not deleted/);
    const others = Object.entries(parts).filter(([name, { state }]) => name !== 'statistics' && state !== 'up');
    assert.deepEqual(others, []);
    const line = await installation.logged('statistics_missing');
    assert.deepEqual(line['duties'], ['queue-bytes', 'exclusive-queues', 'connection-age']);
    const samples = await scrape(agent);
    assert.equal(samples.get('pulse_agent_part_up{part="statistics"}'), 0);
    assert.equal(samples.get('pulse_agent_broker_alarms{alarm="memory"}'), 0);
  });

  it('is reported by verify, with the duties, and nothing else fails there', async () => {
    const reports = await runVerification(installation.config);
    assert.deepEqual(
      reports.filter(({ outcome }) => outcome === 'failed'),
      [],
    );
    const report = reports.find(({ step }) => step === 'statistics');
    assert.equal(report?.outcome, 'warning');
    assert.match(report.said, /queue-bytes: .*exclusive-queues: .*connection-age: /);
  });

  it('shows that an agent runs, to the commands that refuse then', async () => {
    const { config } = installation;
    const management = openManagement(config);
    addCleanup(async () => management.close());
    await assert.rejects(assertNoneOnBroker(management, config, new AbortController().signal), (error) => {
      return isAgentError(error, 'StoreInUse') && /requests has a consumer/.test(error.message);
    });
  });

  it('shows its alarms all the same: the agent is not ready while one is set', async () => {
    const { broker } = installation;
    await setMemoryAlarm(broker, true);
    await untilHealth(agent, ({ ready, parts }) => !ready && parts.alarms.state === 'down');
    const since = (await untilHealth(agent, () => true)).parts.alarms.since;
    await alarms.more(4);
    const { ready, parts } = await untilHealth(agent, () => true);
    assert.deepEqual([ready, parts.alarms.state, parts.alarms.since], [false, 'down', since]);
    assert.equal((await scrape(agent)).get('pulse_agent_broker_alarms{alarm="memory"}'), 1);
    assert.deepEqual(linesWith(installation.log, 'alarm_cleared'), []);
    await setMemoryAlarm(broker, false);
    await untilHealth(agent, (health) => health.ready);
  });

  it('does not delete an overgrown exclusive queue, and the agent logs why', async () => {
    const team = await claimTeam(installation);
    const queue = `queue/${team.namespace}/exclusive`;
    await team.channel.assertQueue(queue, { exclusive: true });
    await team.fill(queue, 60);
    await events.of('queue.warning', queue);
    await installation.logged('queue_not_processed', { queue, err: /does not say which connection declared it/ });
  });

  it('has no ages of connections: the agent closes those that it has seen for too long', async () => {
    const team = await claimTeam(installation);
    const closed = once(team.connection, 'close');
    const management = openManagement(installation.config);
    addCleanup(() => management.close());
    assert.deepEqual(await management.listConnections(installation.config.vhost), []);
    const account = `${installation.config.usernamePrefix}${team.namespace}-1`;
    // A reconciliation that begins now sees the connection.
    await waitUntil(async () => (await management.listUserConnections(account)).length > 0, 'the connection');
    const { length } = linesWith(installation.log, 'no_drift');
    await waitUntil(() => linesWith(installation.log, 'no_drift').length >= length + 2, 'a reconciliation');
    aheadMs += (MAX_AGE_SECONDS + 1) * 1_000;
    const [reason] = await closed;
    assert.match(String(reason), /open for as long as it may/);
    const late = await openConnection(installation.vhost.amqpUrl);
    await late.close();
  });
});

describe('a RabbitMQ that collects statistics once a minute', function () {
  this.timeout(300_000);

  it('shows its alarms immediately, and its statistics are known to be old', async () => {
    const installation = await installOn('collect_statistics_interval = 60000');
    const management = openManagement(installation.config);
    addCleanup(() => management.close());
    const { signal } = new AbortController();
    assert.deepEqual(await management.listAlarms(), []);
    await setMemoryAlarm(installation.broker, true);
    const [alarm, ...more] = await management.listAlarms();
    assert.deepEqual([alarm?.alarm, alarm?.node, more], ['memory', installation.broker.nodeName, []]);
    await setMemoryAlarm(installation.broker, false);
    assert.deepEqual(await management.listAlarms(), []);
    const state = await measureStatistics(management, { clock: systemClock, sleep: systemSleep }, signal);
    assert.ok(state.is === 'slow', state.is);
  });
});
