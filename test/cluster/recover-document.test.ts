import assert from 'node:assert/strict';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { untilHealth } from '../support/agent-http.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { pathWithCommandsOf } from '../support/broker-commands.ts';
import { useCluster } from '../support/cluster.ts';
import { type Block, runnableBlocksOf, runShell } from '../docs/blocks.ts';

describe('docs/recover.md, on a cluster', function () {
  this.timeout(2 * BROKER_START_MS);
  const cluster = useCluster();

  it('a node is lost for good: another one takes its place', async () => {
    const installation = await makeInstallation({ broker: node(0), settings: { httpPort: 0 } });
    const agent = await installation.start();
    const lost = node(2);
    await lost.kill();
    await untilHealth(agent, ({ parts: { replicas } }) => replicas.state === 'down');
    const env = { PATH: await pathWithCommandsOf(node(0)) };
    await runShell(blockOf('forget_cluster_node', { 'rabbit@c.example.com': lost.nodeName }), { env });
    await cluster().forget(lost);
    assert.deepEqual(
      (await cluster().viewOf(node(0))).map(({ name }) => name).toSorted(),
      cluster()
        .nodes.map(({ nodeName }) => nodeName)
        .toSorted(),
    );
    assert.equal((await membersOf(installation)).includes(lost.nodeName), false);
    await cluster().add();
    const rpc = await installation.rpc(TEAM);
    await rpc.request('claim-namespace', { namespace: teamNamespace() });
  });

  it('most nodes are lost for good: the rest goes on', async () => {
    const installation = await makeInstallation({ broker: node(0), settings: { httpPort: 0 } });
    const { config, names } = installation;
    const agent = await installation.start();
    await untilHealth(agent, ({ ready, parts: { replicas } }) => ready && replicas.state === 'up');
    await cluster().handlePartitions('pause_minority');
    const [, ...lost] = cluster().nodes;
    await Promise.all(lost.map((each) => each.kill()));
    await untilHealth(agent, ({ ready }) => !ready);

    const env = { PATH: await pathWithCommandsOf(node(0)) };
    await runShell(blockOf('force_boot', {}), { env });
    await node(0).ready();
    if (await canShrink(node(0))) await runShell(blockOf('force_all_queues_shrink', {}), { env });
    else {
      const own = { '-p pulse-agent': `-p ${config.requestVhost}`, 'queue/pulse-agent/': `queue/${config.id}/` };
      await runShell(blockOf('delete_queue', own), { env });
    }
    for (const { nodeName } of lost) await node(0).rabbitmqctl(['forget_cluster_node', nodeName]);
    for (const each of lost) await cluster().forget(each);
    await untilHealth(agent, ({ ready, parts: { cluster: seen } }) => ready && seen.state === 'up');
    const rpc = await installation.rpc(TEAM);
    await rpc.request('claim-namespace', { namespace: teamNamespace() });
    for (const queue of [names.requestQueue, names.unknownMethodsQueue, names.deadQueue]) {
      await manage(node(0), 'GET', `/queues/${encodeURIComponent(config.requestVhost)}/${encodeURIComponent(queue)}`);
    }
  });

  /** Whether RabbitMQ can reduce quorum queues to one replica without a majority. */
  async function canShrink(at: LocalRabbitMQ): Promise<boolean> {
    const { body } = await manage(at, 'GET', '/overview');
    const [major = 0, minor = 0] = (body as { rabbitmq_version: string }).rabbitmq_version.split('.').map(Number);
    return major > 3 || minor >= 12;
  }

  function node(index: number): LocalRabbitMQ {
    return cluster().nodes[index] ?? assert.fail();
  }

  async function membersOf({ config, names }: TestInstallation): Promise<string[]> {
    const path = `/queues/${encodeURIComponent(config.requestVhost)}/${encodeURIComponent(names.requestQueue)}`;
    return ((await manage(node(0), 'GET', path)).body as { members: string[] }).members;
  }
});

/** The block of docs/recover.md that contains this text. */
function blockOf(containing: string, replace: Readonly<Record<string, string>>): Block {
  const block = runnableBlocksOf('docs/recover.md').find(({ text }) => text.includes(containing));
  assert.ok(block !== undefined, containing);
  const text = Object.entries(replace).reduce((done, [name, value]) => done.replaceAll(name, value), block.text);
  return { ...block, text };
}
