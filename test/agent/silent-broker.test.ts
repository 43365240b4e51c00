import assert from 'node:assert/strict';
import type { Agent } from '../../src/agent/agent.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { sharedBroker, useSharedBroker } from '../support/broker.ts';
import { makeRelay, type TcpRelay } from '../support/tcp-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

const STOP_DEADLINE_SECONDS = 2;

/** The time beyond its deadline that a stop may take, in ms: 2.5 s for silent connections, and a reserve. */
const GRACE_MS = 8_000;

describe('a stop while RabbitMQ does not answer', function () {
  this.timeout(120_000);
  useSharedBroker();

  interface Behind {
    readonly installation: TestInstallation;
    readonly agent: Agent;
    readonly amqp: TcpRelay;
    readonly management: TcpRelay;
  }

  /** An installation whose agent, but not its clients, reaches the broker through relays. */
  async function makeBehindRelays(): Promise<Omit<Behind, 'agent'>> {
    const { amqpPort, managementPort } = await sharedBroker();
    const [amqp, management] = [await makeRelay(amqpPort), await makeRelay(managementPort)];
    const installation = await makeInstallation({
      settings: { stopDeadlineSeconds: STOP_DEADLINE_SECONDS },
      relays: { amqpPort: amqp.port, managementPort: management.port },
    });
    return { installation, amqp, management };
  }

  async function startBehindRelays(): Promise<Behind> {
    const made = await makeBehindRelays();
    return { ...made, agent: await made.installation.start() };
  }

  async function assertStopsInTime({ agent, amqp, management }: Behind): Promise<void> {
    const startedMs = performance.now();
    await agent.stop();
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < STOP_DEADLINE_SECONDS * 1000 + GRACE_MS, `it took ${tookMs} ms`);
    await waitUntil(() => amqp.open() === 0 && management.open() === 0, 'no connection is left open');
  }

  it('finishes in time with a request in hand', async () => {
    const behind = await startBehindRelays();
    const { taskcluster } = behind.installation;
    taskcluster.behave({ mode: 'hanging' });
    const requester = await behind.installation.requester();
    const credentials = taskcluster.credentials(TEAM);
    const body = { namespace: teamNamespace() };
    const asked = taskcluster.nextCall('authenticateHawk');
    await requester.publish(requester.compose({ method: 'claim-namespace', body, credentials }));
    await asked;
    behind.amqp.stall();
    await assertStopsInTime(behind);
  });

  it('finishes in time when the management API is silent too', async () => {
    const behind = await startBehindRelays();
    behind.amqp.stall();
    behind.management.stall();
    await assertStopsInTime(behind);
  });

  it('finishes in time when the connections were lost and RabbitMQ accepts no new ones', async () => {
    const behind = await startBehindRelays();
    behind.amqp.cut();
    behind.amqp.stall();
    await waitUntil(() => behind.amqp.open() >= 4, 'all four knock again');
    await assertStopsInTime(behind);
  });

  it('finishes immediately while the agent starts and cannot connect', async () => {
    const { installation, amqp } = await makeBehindRelays();
    amqp.stall();
    const stopping = new AbortController();
    const starting = installation.start({ signal: stopping.signal });
    starting.catch(() => undefined);
    await waitUntil(() => amqp.open() > 0, 'it knocks');
    const startedMs = performance.now();
    stopping.abort(new Error('By a test.'));
    await assert.rejects(starting);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 8_000, `it took ${tookMs} ms, and connecting may take ten seconds`);
    await waitUntil(() => amqp.open() === 0, 'no connection is left open');
  });
});
