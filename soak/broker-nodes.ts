import { join } from 'node:path';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../dev/rabbitmq.ts';

/** One node, which faults stop and start. */
export type BrokerNode = Pick<
  LocalRabbitMQ,
  'nodeName' | 'amqpUrl' | 'managementUrl' | 'start' | 'stop' | 'kill' | 'rabbitmqctl'
>;

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
  if (count !== 1) throw new Error('A cluster needs the harness.');
  const broker = await startRabbitMQ({ folder, cacheFolder: join(WORKING_COPY, '.cache/rabbitmq'), onProgress });
  return brokerNodes([broker], broker, () => broker.kill());
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
    amqpPort: (index) => Number(new URL(nodeAt(index).amqpUrl).port),
    managementPort: (index) => Number(new URL(nodeAt(index).managementUrl).port),
    close,
  };
}
