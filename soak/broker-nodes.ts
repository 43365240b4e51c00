import { join } from 'node:path';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { startRabbitMQ } from '../dev/rabbitmq.ts';
import { startCluster } from '../dev/rabbitmq-cluster.ts';
import type { LocalRabbitMQ } from '../dev/rabbitmq-node.ts';

/** One node, which faults stop and start. */
type BrokerNode = Pick<LocalRabbitMQ, 'amqpPort' | 'managementPort' | 'start' | 'stop' | 'kill' | 'rabbitmqctl'>;

/** The nodes of a run. A node is up from the end of its start until it is stopped or killed. */
export interface BrokerNodes {
  readonly nodes: readonly BrokerNode[];
  readonly user: string;
  readonly password: string;
  isUp(index: number): boolean;
  /** The indices of the nodes that are up. */
  up(): number[];
  /** Stops or kills a node. */
  takeDown(index: number, how: 'stop' | 'kill'): Promise<void>;
  bringUp(index: number): Promise<void>;
  amqpPort(index: number): number;
  managementPort(index: number): number;
  /** Stops all of them for good. */
  close(): Promise<void>;
}

/** Starts a single node, or a cluster. */
export async function startBrokerNodes(
  count: number,
  folder: string,
  onProgress: (line: string) => void,
): Promise<BrokerNodes> {
  const options = { folder, cacheFolder: join(WORKING_COPY, '.cache/rabbitmq'), onProgress };
  if (count === 1) {
    const broker = await startRabbitMQ(options);
    return brokerNodes([broker], broker, () => broker.kill());
  }
  // A node that a busy machine holds up for too long comes back by itself.
  const cluster = await startCluster({ ...options, nodes: count, partitionHandling: 'pause_minority' });
  return brokerNodes(cluster.nodes, cluster, () => cluster.stop());
}

function brokerNodes(
  nodes: readonly BrokerNode[],
  { user, password }: { readonly user: string; readonly password: string },
  close: () => Promise<void>,
): BrokerNodes {
  const up = new Set(nodes.keys());
  const nodeAt = (index: number): BrokerNode => {
    const node = nodes[index];
    if (node === undefined) throw new Error(`There is no node ${index + 1}.`);
    return node;
  };
  return {
    nodes,
    user,
    password,
    isUp: (index) => up.has(index),
    up: () => [...up],
    async takeDown(index, how) {
      up.delete(index);
      await nodeAt(index)[how]();
    },
    async bringUp(index) {
      await nodeAt(index).start();
      up.add(index);
    },
    amqpPort: (index) => nodeAt(index).amqpPort,
    managementPort: (index) => nodeAt(index).managementPort,
    close,
  };
}
