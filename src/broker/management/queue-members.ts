import * as z from 'zod';
import type { ManagementCallOptions, ManagementHttp } from './management-http.ts';

/** Where a quorum queue is: current, and without statistics. */
export interface QuorumQueue {
  readonly name: string;
  /** The node that serves it; undefined while none is elected, which is when fewer than a majority are online. */
  readonly leader?: string | undefined;
  /** The nodes with a replica, whether they run or not, and also if they have left the cluster. */
  readonly members: readonly string[];
  /** Those of the members whose replica runs. */
  readonly online: readonly string[];
}

/** The calls about the replicas of quorum queues. */
export interface QueueMemberCalls {
  /** Undefined when there is no quorum queue of that name. */
  getQuorumQueue(vhost: string, queue: string, options?: ManagementCallOptions): Promise<QuorumQueue | undefined>;
  /**
   * Adds a replica on a node, which then catches up with the leader. Done again, it changes nothing.
   *
   * @returns false where this RabbitMQ has no such call (before 3.11.19 and 3.12.1), or its setting
   *   `management.restrictions.quorum_queue_replica_operations.disabled` forbids it
   * @throws AgentError `BrokerUnavailable`, also when the node does not run or another change of the members is under way;
   *   `BrokerRefused`, also when there is no such queue
   */
  addQueueMember(vhost: string, queue: string, node: string, options?: ManagementCallOptions): Promise<boolean>;
}

/** RabbitMQ writes an absent leader as null, as an empty text, or not at all. */
const quorumQueueSchema = z
  .object({
    name: z.string(),
    type: z.string().optional(),
    leader: z.string().nullish(),
    members: z.array(z.string()).default([]),
    online: z.array(z.string()).default([]),
  })
  .transform(({ name, type, leader, members, online }): QuorumQueue | undefined =>
    type === 'quorum' ? { name, leader: leader || undefined, members, online } : undefined,
  );

/** Older versions serve only their pages at paths that they do not know. */
const METHOD_NOT_ALLOWED = 405;

const MEMBERS_ONLY = { disable_stats: 'true', columns: 'name,type,leader,members,online' };

/** GETs a resource; undefined when it does not exist. */
type Find = <T>(
  schema: z.ZodType<T>,
  path: string[],
  options?: ManagementCallOptions,
  query?: Record<string, string>,
) => Promise<T | undefined>;

/** Creates the calls over a transport. */
export function createQueueMemberCalls(
  transport: Pick<ManagementHttp, 'send' | 'refusal'>,
  find: Find,
): QueueMemberCalls {
  return {
    getQuorumQueue: (vhost, queue, options) => find(quorumQueueSchema, ['queues', vhost, queue], options, MEMBERS_ONLY),
    async addQueueMember(vhost, queue, node, options) {
      const path = ['queues', 'quorum', vhost, queue, 'replicas', 'add'];
      const request = { method: 'POST', path, body: { node }, expected: [METHOD_NOT_ALLOWED] } as const;
      const response = await transport.send(request, options);
      if (response.status === 404) throw transport.refusal(request, response);
      return response.status !== METHOD_NOT_ALLOWED;
    },
  };
}
