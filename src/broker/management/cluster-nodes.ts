import * as z from 'zod';

/** A node of the cluster, as the node that was asked sees it. */
export interface ClusterNode {
  readonly name: string;
  /** Whether it is in one cluster with the node that was asked. Current: without statistics. */
  readonly running: boolean;
  /**
   * The nodes that it saw again after it had taken them for stopped. From the statistics, so up to 10 s late; undefined where
   * there are none, as of a node that is down.
   */
  readonly partitions: readonly string[] | undefined;
}

export const clusterNodeSchema = z
  .object({ name: z.string(), running: z.boolean(), partitions: z.array(z.string()).optional() })
  .transform(({ name, running, partitions }): ClusterNode => ({ name, running, partitions }));

export const CLUSTER_COLUMNS = { columns: 'name,running,partitions' };
