import { type ClusterGate, type ClusterWatch, type ClusterWatchOptions, createClusterWatch } from '../cluster.ts';
import type { Management, ManagementCallOptions } from './management.ts';

/** For each call that changes something the position of its options; every call is listed, so that none is forgotten. */
const OPTIONS_OF_CHANGES: Readonly<Record<keyof Management, number | undefined>> = {
  putUser: 2,
  getUser: undefined,
  deleteUser: 1,
  listUsers: undefined,
  visitUsers: undefined,
  hasVhost: undefined,
  getVhostDescription: undefined,
  putVhost: 2,
  deleteVhost: 1,
  putPermissions: 3,
  getPermissions: undefined,
  putUserLimit: 3,
  deleteUserLimit: 2,
  getUserLimits: undefined,
  closeUserConnections: 2,
  deletePermissions: 2,
  visitPermissions: undefined,
  listTopicPermissions: undefined,
  listUserTopicPermissions: undefined,
  deleteTopicPermissions: 2,
  listUserPermissions: undefined,
  visitUserLimits: undefined,
  listUserConnections: undefined,
  listOpenConnections: undefined,
  listConnections: undefined,
  closeConnection: 2,
  putPolicy: 3,
  deletePolicy: 2,
  listPolicies: undefined,
  putOperatorPolicy: 3,
  deleteOperatorPolicy: 2,
  listOperatorPolicies: undefined,
  getGlobalParameter: undefined,
  putGlobalParameter: 2,
  deleteGlobalParameter: 1,
  listQueues: undefined,
  visitQueues: undefined,
  visitQueueDepths: undefined,
  visitQueueStatistics: undefined,
  listQueueBytes: undefined,
  getQueueBytes: undefined,
  listQueueNames: undefined,
  findQueues: undefined,
  findQueueStatistics: undefined,
  getQueue: undefined,
  getQueueOwner: undefined,
  deleteQueue: 2,
  purgeQueue: 2,
  getOldestMessageMs: undefined,
  listExchanges: undefined,
  deleteExchange: 2,
  listBindings: undefined,
  listBindingsInto: undefined,
  hasExchange: undefined,
  listBindingsFrom: undefined,
  deleteBinding: 2,
  close: undefined,
  listNodes: undefined,
  listDownQueues: undefined,
  listAlarms: undefined,
  listUptimes: undefined,
  overview: undefined,
  whoAmI: undefined,
  listFeatureFlags: undefined,
  getVhostLimits: undefined,
  listQueuePolicies: undefined,
  listExchangePolicies: undefined,
  listEffectivePolicies: undefined,
  getEffectivePolicy: undefined,
  listEnabledPlugins: undefined,
  getQuorumQueue: undefined,
  addQueueMember: 3,
};

/**
 * The same management API, whose changes are sent only while RabbitMQ is one cluster. It is asked before each change, and
 * once more right before that is sent. A change on one side of a split is none for the clients of the other, and is lost when
 * that side wins.
 */
export function guardChanges(
  management: Management,
  cluster: Pick<ClusterGate, 'permit' | 'assertPermitted'>,
): Management {
  type Call = (...given: unknown[]) => Promise<unknown>;
  const guard =
    (call: Call, position: number): Call =>
    async (...given) => {
      const options = given[position] as ManagementCallOptions | undefined;
      if (options?.evenWhenSplit === true) return await call(...given);
      await cluster.permit(options?.signal);
      const beforeSend = (): void => {
        options?.beforeSend?.();
        cluster.assertPermitted();
      };
      return await call(...given.slice(0, position), { ...options, beforeSend });
    };
  const changes = Object.entries(OPTIONS_OF_CHANGES).flatMap(([name, position]) =>
    position === undefined ? [] : [[name, guard(management[name as keyof Management] as Call, position)]],
  );
  return { ...management, ...Object.fromEntries(changes) };
}

/** A management API whose changes are guarded, with the watch that guards them, which is not started. */
export function guardByCluster(
  management: Management,
  options: Omit<ClusterWatchOptions, 'management'>,
): { readonly management: Management; readonly cluster: ClusterWatch } {
  const cluster = createClusterWatch({ ...options, management });
  return { management: guardChanges(management, cluster), cluster };
}
