import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import type { Agent } from '../../src/agent/agent.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation, withPort } from '../support/agent.ts';
import { untilHealth, untilSample } from '../support/agent-http.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import type { Claimed } from '../support/claim-assertions.ts';
import { useCluster } from '../support/cluster.ts';
import { createMemoryStore, type MemoryStore } from '../support/memory-store.ts';
import { linesWith } from '../support/test-log.ts';

const NAMESPACES = 6;

/** Without the address, which is that of the agent that answered. */
function loginOf({ connectionString }: Claimed): string {
  const { username, password } = new URL(connectionString);
  return `${username}:${password}`;
}

describe('agents of a cluster that is split', function () {
  this.timeout(2 * BROKER_START_MS);
  const cluster = useCluster();

  /** Two agents with one store: one on the node that is cut off, one on the others. */
  const open = async (node: LocalRabbitMQ, cutOff: LocalRabbitMQ) => {
    const settings = { httpPort: 0, rotationIntervalSeconds: 24, reconcileIntervalSeconds: 3 };
    const installation = await makeInstallation({ broker: node, settings });
    const store = createMemoryStore();
    const agent = await installation.start({ store });
    const other = await installation.start({ through: cutOff, store });
    for (const each of [agent, other]) await untilHealth(each, ({ ready, degraded }) => ready && !degraded);
    return { installation, store, agent, other };
  };

  /** Asserts that the credentials open a connection at this node. */
  const assertOpensAt = async ({ connectionString }: Claimed, { amqpPort }: LocalRabbitMQ): Promise<void> => {
    await (await connect(withPort(connectionString, amqpPort))).close();
  };

  const isNot = (state: 'whole'): ((agent: Agent) => Promise<unknown>) => {
    return (agent) => untilSample(agent, `pulse_agent_cluster{state="${state}"}`, (value) => value === 0);
  };

  const due = (store: MemoryStore, claims: readonly Claimed[]): number =>
    Math.max(...claims.map(({ namespace }) => store.peek(namespace)?.nextRotationMs ?? assert.fail()));

  const repairs = ({ log }: TestInstallation): unknown[] => [
    ...linesWith(log, 'account_repaired'),
    ...linesWith(log, 'record_advanced'),
  ];

  it('change nothing on either side, answer holders, and go on after a reconciliation', async () => {
    const [first, second, cutOff] = cluster().nodes;
    assert.ok(first !== undefined && second !== undefined && cutOff !== undefined);
    const { installation, store, agent, other } = await open(first, cutOff);
    const rpc = await installation.rpc(TEAM);
    const claimed: Claimed[] = await Promise.all(
      Array.from({ length: NAMESPACES }, () => rpc.request('claim-namespace', { namespace: teamNamespace() })),
    );
    const [one] = claimed;
    assert.ok(one !== undefined);

    await cluster().partition([cutOff]);
    for (const each of [agent, other]) await isNot('whole')(each);
    // No event marks the end of a time in which nothing may happen.
    await delay(due(store, claimed) + 2000 - Date.now());
    for (const { namespace } of claimed) assert.equal(store.peek(namespace)?.generation, 1, 'nothing is rotated');
    for (const each of claimed) await assertOpensAt(each, cutOff);
    const again: Claimed = await rpc.request('claim-namespace', { namespace: one.namespace });
    assert.equal(loginOf(again), loginOf(one));

    // The network works again, and Mnesia stays split.
    await cluster().heal();
    for (const each of [agent, other]) {
      await untilHealth(each, ({ parts }) => parts.cluster.reason?.startsWith('split') === true);
    }
    // Holders are answered. RabbitMQ delivers no reply from the smaller side to the other one, so its agent is given no requests.
    await untilHealth(agent, ({ ready, degraded }) => ready && degraded);
    const onSmallerSide = /on the smaller side of a split/;
    await untilHealth(other, ({ ready, parts }) => !ready && onSmallerSide.test(String(parts['round-trip'].reason)));
    // The change of its consumer takes a moment, in which it may be given one more.
    const pings = (): Promise<unknown> =>
      Promise.all(Array.from({ length: NAMESPACES }, () => rpc.request('ping', {})));
    await pings().catch(pings);
    const refused = rpc.request('claim-namespace', { namespace: teamNamespace() });
    await assert.rejects(refused, { code: 'Unavailable', retryable: true });
    assert.deepEqual(repairs(installation), []);

    await cluster().restore();
    for (const each of [agent, other]) await untilHealth(each, ({ ready, degraded }) => ready && !degraded);
    for (const code of ['cluster_split', 'cluster_restoring', 'cluster_restored'] as const) {
      assert.ok(linesWith(installation.log, code).length > 0, code);
    }
    for (const { namespace } of claimed) {
      await installation.found(() => ((store.peek(namespace)?.generation ?? 0) > 1 ? true : undefined));
    }
    assert.deepEqual(repairs(installation), [], 'no false repair');
    const renewed: Claimed = await rpc.request('claim-namespace', { namespace: one.namespace });
    for (const node of cluster().nodes) await assertOpensAt(renewed, node);
  });
});
