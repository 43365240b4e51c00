import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type LocalCluster, startCluster } from '../../dev/rabbitmq-cluster.ts';
import { BROKER_START_MS } from './broker.ts';
import { addRunCleanup } from './cleanup.ts';
import { testFolder } from './folders.ts';

const NODES = 3;

let shared: Promise<LocalCluster> | undefined;

/**
 * For use in a `describe` of `test/cluster/`: the cluster of three nodes that all its tests share, started by the first of
 * them. Its files run one after the other, in one process. After each test it is whole again, whatever the test did to its
 * nodes; an agent of the whole `describe` goes through that, too.
 *
 * Partitions are ignored, as RabbitMQ does by default; `cluster().handlePartitions` changes that for a test. Statistics, and
 * with them `partitions` in `GET /api/nodes`, come every second.
 *
 * @example
 * const cluster = useCluster();
 * it('…', async () => {
 *   const [first, second] = cluster().nodes;
 *   const installation = await makeInstallation({ broker: first });
 *   await installation.start();
 *   await installation.start({ through: second });
 *   await first.kill();
 * });
 */
export function useCluster(): () => LocalCluster {
  let cluster: LocalCluster | undefined;
  before('start the shared cluster', async function () {
    this.timeout(BROKER_START_MS);
    shared ??= startShared();
    cluster = await shared;
    await makeWhole(cluster);
  });
  afterEach('make the shared cluster whole', async function () {
    this.timeout(BROKER_START_MS);
    if (cluster !== undefined) await makeWhole(cluster);
  });
  return () => {
    if (cluster === undefined) throw new Error('The shared cluster is ready only from the first hook on.');
    return cluster;
  };
}

async function makeWhole(cluster: LocalCluster): Promise<void> {
  await cluster.restore();
  for (const node of cluster.nodes.slice(NODES)) await cluster.forget(node);
  while (cluster.nodes.length < NODES) await cluster.add();
}

async function startShared(): Promise<LocalCluster> {
  const folder = join(testFolder(), 'cluster');
  const cluster = await startCluster({ folder, nodes: NODES, extraConfig: 'collect_statistics_interval = 1000' });
  addRunCleanup(async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return cluster;
}
