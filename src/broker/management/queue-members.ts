import * as z from 'zod';
import type { ManagementCallOptions, ManagementHttp } from './management-http.ts';
import type { ManagementReads } from './management-reads.ts';

/** Where a quorum queue is: current, and without statistics. */
export interface QuorumQueue {
  readonly name: string;
  /** The node that serves it; undefined while none is elected, or too few members are online to elect one. */
  readonly leader?: string | undefined;
  /** The nodes with a replica, whether they run or not, and also if they have left the cluster. */
  readonly members: readonly string[];
  /** Those of the members whose replica runs. */
  readonly online: readonly string[];
}

/** A classic queue on a node that is down. RabbitMQ lists it, and neither finds nor deletes it by its name. */
export interface DownQueue {
  readonly name: string;
  readonly node: string;
}

/** The calls about where queues are. */
export interface QueueMemberCalls {
  /** Without statistics. It takes as long as a listing of names. */
  listDownQueues(vhost: string, options?: ManagementCallOptions): Promise<DownQueue[]>;
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
  .transform(({ name, type, leader, members, online }): QuorumQueue | undefined => {
    if (type !== 'quorum') return undefined;
    // RabbitMQ 4 names the last leader, also while the members that are online can have none.
    const isLed = leader && online.includes(leader) && online.length > members.length / 2;
    return { name, leader: isLed ? leader : undefined, members, online };
  });

const downQueueSchema = z
  .object({ name: z.string(), node: z.string().nullish(), state: z.string().nullish() })
  .transform(({ name, node, state }): DownQueue | undefined => (state === 'down' && node ? { name, node } : undefined));

const PLACES_ONLY = { disable_stats: 'true', columns: 'name,node,state' };

/** Older versions serve only their pages at paths that they do not know. */
const METHOD_NOT_ALLOWED = 405;

const MEMBERS_ONLY = { disable_stats: 'true', columns: 'name,type,leader,members,online' };

/** Creates the calls over a transport. */
export function createQueueMemberCalls(
  transport: Pick<ManagementHttp, 'send' | 'refusal'>,
  { find, list }: Pick<ManagementReads, 'find' | 'list'>,
): QueueMemberCalls {
  return {
    listDownQueues: async (vhost, options) =>
      (await list(downQueueSchema, ['queues', vhost], options, PLACES_ONLY)).filter((queue) => queue !== undefined),
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
