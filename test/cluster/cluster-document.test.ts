import assert from 'node:assert/strict';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { pathWithCommandsOf } from '../support/broker-commands.ts';
import { useCluster } from '../support/cluster.ts';
import { waitUntil } from '../support/watched-installation.ts';
import { runShell, useBlocks } from '../docs/blocks.ts';

describe('docs/cluster.md', function () {
  this.timeout(2 * BROKER_START_MS);
  const cluster = useCluster();
  const document = useBlocks('docs/cluster.md');

  it('a node joins, restarts, is asked by a load balancer, and leaves', async () => {
    const [first] = cluster().nodes;
    assert.ok(first !== undefined);
    const joining = await cluster().addAlone();
    const env = { PATH: await pathWithCommandsOf(joining) };
    await runShell(document.take('join_cluster', { 'rabbit@a.example.com': first.nodeName }), { env });
    await untilMembers(first, 4);

    await runShell(document.take('await_startup'), { env });
    await joining.ready();
    const health = {
      MONITORING_USER: `${joining.user}:${joining.password}`,
      BROKER_MANAGEMENT: joining.managementUrl,
    };
    const { stdout } = await runShell(document.take('port-listener/5672', { '5672': String(joining.amqpPort) }), {
      env: { ...env, ...health },
    });
    assert.equal((JSON.parse(stdout) as { status: string }).status, 'ok');

    await runShell(document.take('list_queues', { pulse: '/' }), { env });
    await runShell(
      document.take('forget_cluster_node', {
        'rabbit@a.example.com': first.nodeName,
        'rabbit@c.example.com': joining.nodeName,
      }),
      { env },
    );
    await cluster().forget(joining);
    await untilMembers(first, 3);
  });

  it('leaves the setting that other tests make', () => {
    document.leave('cluster_partition_handling', 'test/cluster/private-cluster.test.ts changes it in running nodes');
  });

  async function untilMembers(node: LocalRabbitMQ, count: number): Promise<void> {
    const areThere = async (): Promise<boolean> => {
      const view = await cluster().viewOf(node);
      return view.length === count && view.every(({ running }) => running);
    };
    await waitUntil(areThere, `${count} members that run`);
  }
});
