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
    await runShell(blockOf('a-node-of-rabbitmq-is-lost-for-good', { 'rabbit@c.example.com': lost.nodeName }), { env });
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

  function node(index: number): LocalRabbitMQ {
    return cluster().nodes[index] ?? assert.fail();
  }

  async function membersOf({ config, names }: TestInstallation): Promise<string[]> {
    const path = `/queues/${encodeURIComponent(config.requestVhost)}/${encodeURIComponent(names.requestQueue)}`;
    return ((await manage(node(0), 'GET', path)).body as { members: string[] }).members;
  }
});

/** A block of docs/recover.md: the first one under the heading with this anchor. */
function blockOf(anchor: string, replace: Readonly<Record<string, string>>): Block {
  const block = runnableBlocksOf('docs/recover.md').find(
    ({ heading }) => heading.toLowerCase().replaceAll(' ', '-') === anchor,
  );
  assert.ok(block !== undefined, anchor);
  const text = Object.entries(replace).reduce((done, [name, value]) => done.replaceAll(name, value), block.text);
  return { ...block, text };
}
