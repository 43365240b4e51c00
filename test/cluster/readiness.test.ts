import assert from 'node:assert/strict';
import { makeInstallation } from '../support/agent.ts';
import { healthOf, scrape, untilHealth } from '../support/agent-http.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { useCluster } from '../support/cluster.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { linesWith } from '../support/test-log.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('readiness of agents of a cluster', function () {
  this.timeout(2 * BROKER_START_MS);
  const cluster = useCluster();

  it('ends while the request queue has no leader, and returns with the majority of its nodes', async () => {
    const [first, second, third] = cluster().nodes;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    // The first agent to start makes the queues, and their leaders are on its node.
    const installation = await makeInstallation({ broker: first, settings: { httpPort: 0 } });
    const store = createMemoryStore();
    await (await installation.start({ store })).stop();
    const agent = await installation.start({ through: third, store });
    const other = await installation.start({ through: second, store });
    const agents = [agent, other];
    for (const each of agents) await untilHealth(each, ({ ready, degraded }) => ready && !degraded);
    const deadLetters = async () => (await scrape(agent)).get('pulse_agent_queue_messages{queue="dead"}');
    await waitUntil(async () => (await deadLetters()) === 0, 'there are no dead letters');

    // A node that stops takes its agent with it; the other one is served on.
    await second.stop();
    await untilHealth(other, ({ ready }) => !ready);
    const served = await untilHealth(agent, ({ parts }) => parts.cluster.state === 'down');
    assert.match(String(served.parts.cluster.reason), /incomplete: 2 of 3 nodes run/);
    await untilHealth(agent, ({ ready, degraded }) => ready && degraded);

    await first.stop();
    const unready = await untilHealth(agent, ({ ready }) => !ready);
    await untilHealth(agent, ({ parts }) => parts['round-trip'].state === 'down');
    assert.ok(unready.parts.management.state === 'up', 'the management API of its node answers');
    await waitUntil(async () => (await deadLetters()) === undefined, 'whether there are dead letters is unknown');

    // A new connection of the agent to itself meets a queue without a leader. It is ready again although the node of the
    // leader stays away.
    const probe = `${installation.config.id} probe`;
    const probes = async (): Promise<string[]> => await connectionsNamed(third, probe);
    const before = await probes();
    for (const name of before) await manage(third, 'DELETE', `/connections/${encodeURIComponent(name)}`);
    await waitUntil(async () => (await probes()).some((name) => !before.includes(name)), 'the agent connects again');
    await second.start();
    await untilHealth(agent, ({ ready }) => ready);

    await first.start();
    for (const each of agents) await untilHealth(each, ({ ready, degraded }) => ready && !degraded);
    assert.equal((await healthOf(agent)).status, 200);
    const dead = await installation.deadLetters();
    assert.deepEqual(dead.untaken, [], 'probes are no dead letters');
    assert.ok(linesWith(installation.log, 'cluster_split').length > 0);
  });
});

/** The open connections of clients that call them so, as RabbitMQ names them. */
async function connectionsNamed(node: LocalRabbitMQ, wanted: string): Promise<string[]> {
  const { body } = await manage(node, 'GET', '/connections');
  const listed = body as { name: string; client_properties?: { connection_name?: string } }[];
  return listed.filter((one) => one.client_properties?.connection_name === wanted).map(({ name }) => name);
}
