import assert from 'node:assert/strict';
import { makeInstallation } from '../support/agent.ts';
import { healthOf, untilHealth } from '../support/agent-http.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { useCluster } from '../support/cluster.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { linesWith } from '../support/test-log.ts';

describe('readiness of agents of a cluster', function () {
  this.timeout(2 * BROKER_START_MS);
  const cluster = useCluster();

  it('ends while the request queue has no leader, and returns with the majority of its nodes', async () => {
    const [first, second, third] = cluster().nodes;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const installation = await makeInstallation({ broker: third, settings: { httpPort: 0 } });
    const store = createMemoryStore();
    const agents = [await installation.start({ store }), await installation.start({ through: second, store })];
    const [agent, other] = agents;
    assert.ok(agent !== undefined && other !== undefined);
    for (const each of agents) await untilHealth(each, ({ ready, degraded }) => ready && !degraded);

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

    await Promise.all([first.start(), second.start()]);
    for (const each of agents) await untilHealth(each, ({ ready, degraded }) => ready && !degraded);
    assert.equal((await healthOf(agent)).status, 200);
    const dead = await installation.deadLetters();
    assert.deepEqual(dead.untaken, [], 'probes are no dead letters');
    assert.ok(linesWith(installation.log, 'cluster_split').length > 0);
  });
});
