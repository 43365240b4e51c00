import type { BrokerUser, Management } from '../broker/management/management.ts';
import type { Clock } from '../util/clock.ts';
import { type OnChange, OverlayEntries } from './overlay-entries.ts';

/** How long it answers as if a change had been made, in ms: longer than any step waits for the effect of its change. */
const LASTS_MS = 60_000;

/**
 * An overlay of the management API. Writes are reported to `onChange` instead of sent, and for a while reads answer as if
 * they had been made, so that a step which waits for its own effect continues. Every call is listed, so that the compiler
 * refuses a new one that is not overlaid.
 */
export function createManagementOverlay(real: Management, clock: Clock, onChange: OnChange): Management {
  const monotonicMs = (): number => clock.monotonicMs();
  const users = new OverlayEntries<BrokerUser | 'deleted'>(monotonicMs, LASTS_MS);
  const deleted = new OverlayEntries<true>(monotonicMs, LASTS_MS);
  const report = (call: string, subject: string): void => onChange({ call, subject });
  const deleteOnce = (call: string, kind: string, name: string): boolean => {
    const key = `${kind} ${name}`;
    if (deleted.has(key)) return false;
    report(call, name);
    deleted.set(key, true);
    return true;
  };
  const exists =
    (kind: string) =>
    ({ name }: { readonly name: string }): boolean =>
      !deleted.has(`${kind} ${name}`);
  const isOpen = (connection: { readonly name: string; readonly user: string }): boolean =>
    exists('connection')(connection) && !deleted.has(`connections of ${connection.user}`);

  const getUser: Management['getUser'] = async (name, options) => {
    const written = users.get(name);
    if (written === undefined) return await real.getUser(name, options);
    return written === 'deleted' ? undefined : written;
  };

  const currentOf = (user: BrokerUser): BrokerUser | 'deleted' => users.get(user.name) ?? user;

  return {
    getUser,
    async putUser(name, user, options) {
      options?.beforeSend?.();
      const isNew = (await getUser(name, options)) === undefined;
      report('putUser', name);
      users.set(name, { name, ...user });
      return isNew ? 'created' : 'updated';
    },
    async deleteUser(name, options) {
      options?.beforeSend?.();
      if ((await getUser(name, options)) === undefined) return false;
      report('deleteUser', name);
      users.set(name, 'deleted');
      // RabbitMQ closes the connections of a deleted user.
      deleted.set(`connections of ${name}`, true);
      return true;
    },
    listUsers: async (options) =>
      (await real.listUsers(options)).flatMap((user) => {
        const current = currentOf(user);
        return current === 'deleted' ? [] : [current];
      }),
    async visitUsers(visit, options) {
      await real.visitUsers((user) => {
        const current = currentOf(user);
        if (current !== 'deleted') visit(current);
      }, options);
    },
    async putPermissions(vhost, user, _permissions, options) {
      options?.beforeSend?.();
      const isNew = (await real.getPermissions(vhost, user, options)) === undefined;
      report('putPermissions', user);
      return isNew ? 'created' : 'updated';
    },
    async deletePermissions(_vhost, user, options) {
      options?.beforeSend?.();
      report('deletePermissions', user);
      return await Promise.resolve(true);
    },
    async deleteTopicPermissions(_vhost, user, options) {
      options?.beforeSend?.();
      report('deleteTopicPermissions', user);
      return await Promise.resolve(true);
    },
    putVhost: async (vhost) => {
      report('putVhost', vhost);
      return await Promise.resolve('updated');
    },
    deleteVhost: async (vhost) => await Promise.resolve(deleteOnce('deleteVhost', 'vhost', vhost)),
    async putUserLimit(user, _limit, _value, options) {
      options?.beforeSend?.();
      await Promise.resolve();
      report('putUserLimit', user);
    },
    async deleteUserLimit(user, _limit, options) {
      options?.beforeSend?.();
      report('deleteUserLimit', user);
      return await Promise.resolve(true);
    },
    async closeUserConnections(user, _reason, options) {
      options?.beforeSend?.();
      const open = (await real.listUserConnections(user, options)).filter(isOpen);
      if (open.length > 0) report('closeUserConnections', user);
      for (const { name } of open) deleted.set(`connection ${name}`, true);
    },
    closeConnection: async (name) => await Promise.resolve(deleteOnce('closeConnection', 'connection', name)),
    deleteQueue: async (_vhost, name) => await Promise.resolve(deleteOnce('deleteQueue', 'queue', name)),
    // For a while as if it were deleted: its depth is not overlaid.
    purgeQueue: async (_vhost, name) => await Promise.resolve(deleteOnce('purgeQueue', 'queue', name)),
    addQueueMember: async (_vhost, name) => {
      report('addQueueMember', name);
      return await Promise.resolve(true);
    },
    deleteExchange: async (_vhost, name) => await Promise.resolve(deleteOnce('deleteExchange', 'exchange', name)),
    deleteBinding: async (_vhost, { source, destination }) =>
      await Promise.resolve(deleteOnce('deleteBinding', 'binding', `${source} → ${destination}`)),
    putPolicy: async (_vhost, name) => {
      report('putPolicy', name);
      return await Promise.resolve('updated');
    },
    deletePolicy: async (_vhost, name) => await Promise.resolve(deleteOnce('deletePolicy', 'policy', name)),
    putOperatorPolicy: async (_vhost, name) => {
      report('putOperatorPolicy', name);
      return await Promise.resolve('updated');
    },
    deleteOperatorPolicy: async (_vhost, name) =>
      await Promise.resolve(deleteOnce('deleteOperatorPolicy', 'operator policy', name)),
    putGlobalParameter: async (name) => {
      report('putGlobalParameter', name);
      return await Promise.resolve('updated');
    },
    deleteGlobalParameter: async (name) =>
      await Promise.resolve(deleteOnce('deleteGlobalParameter', 'global parameter', name)),
    listUserConnections: async (user, options) => (await real.listUserConnections(user, options)).filter(isOpen),
    listOpenConnections: async (options) => (await real.listOpenConnections(options)).filter(isOpen),
    listConnections: async (vhost, options) => (await real.listConnections(vhost, options)).filter(isOpen),
    async getQueue(vhost, name, options) {
      const found = await real.getQueue(vhost, name, options);
      return found !== undefined && exists('queue')(found) ? found : undefined;
    },
    listQueueBytes: async (vhost, options) => (await real.listQueueBytes(vhost, options)).filter(exists('queue')),
    async getQueueBytes(vhost, name, options) {
      const counted = await real.getQueueBytes(vhost, name, options);
      return counted !== undefined && exists('queue')(counted) ? counted : undefined;
    },
    listQueues: async (vhost, options) => (await real.listQueues(vhost, options)).filter(exists('queue')),
    async visitQueues(vhost, visit, options) {
      await real.visitQueues(vhost, (queue) => void (exists('queue')(queue) && visit(queue)), options);
    },
    async visitQueueDepths(vhost, visit, options) {
      await real.visitQueueDepths(vhost, (queue) => void (exists('queue')(queue) && visit(queue)), options);
    },
    async visitQueueStatistics(vhost, visit, options) {
      await real.visitQueueStatistics(vhost, (queue) => void (exists('queue')(queue) && visit(queue)), options);
    },
    async findQueues(...call) {
      const { queues, isComplete } = await real.findQueues(...call);
      return { queues: queues.filter(exists('queue')), isComplete };
    },
    async findQueueStatistics(...call) {
      const { queues, isComplete } = await real.findQueueStatistics(...call);
      return { queues: queues.filter(exists('queue')), isComplete };
    },
    listQueueNames: async (vhost, options) =>
      (await real.listQueueNames(vhost, options)).filter((name) => exists('queue')({ name })),
    listExchanges: async (vhost, options) => (await real.listExchanges(vhost, options)).filter(exists('exchange')),
    listBindings: async (vhost, options) =>
      (await real.listBindings(vhost, options)).filter(
        ({ source, destination }) => !deleted.has(`binding ${source} → ${destination}`),
      ),
    getOldestMessageMs: (...call) => real.getOldestMessageMs(...call),
    getQueueOwner: (...call) => real.getQueueOwner(...call),
    hasVhost: (...call) => real.hasVhost(...call),
    getVhostDescription: (...call) => real.getVhostDescription(...call),
    getPermissions: (...call) => real.getPermissions(...call),
    listTopicPermissions: (...call) => real.listTopicPermissions(...call),
    listUserTopicPermissions: (...call) => real.listUserTopicPermissions(...call),
    getUserLimits: (...call) => real.getUserLimits(...call),
    visitPermissions: (...call) => real.visitPermissions(...call),
    listUserPermissions: (...call) => real.listUserPermissions(...call),
    visitUserLimits: (...call) => real.visitUserLimits(...call),
    listPolicies: (...call) => real.listPolicies(...call),
    listQueuePolicies: (...call) => real.listQueuePolicies(...call),
    listExchangePolicies: (...call) => real.listExchangePolicies(...call),
    listEffectivePolicies: (...call) => real.listEffectivePolicies(...call),
    getEffectivePolicy: (...call) => real.getEffectivePolicy(...call),
    listDownQueues: (...call) => real.listDownQueues(...call),
    getQuorumQueue: (...call) => real.getQuorumQueue(...call),
    listEnabledPlugins: (...call) => real.listEnabledPlugins(...call),
    listOperatorPolicies: (...call) => real.listOperatorPolicies(...call),
    getGlobalParameter: (...call) => real.getGlobalParameter(...call),
    listBindingsInto: (...call) => real.listBindingsInto(...call),
    hasExchange: (...call) => real.hasExchange(...call),
    listBindingsFrom: (...call) => real.listBindingsFrom(...call),
    listNodes: (...call) => real.listNodes(...call),
    listAlarms: (...call) => real.listAlarms(...call),
    listUptimes: (...call) => real.listUptimes(...call),
    overview: (...call) => real.overview(...call),
    listFeatureFlags: (...call) => real.listFeatureFlags(...call),
    getVhostLimits: (...call) => real.getVhostLimits(...call),
    whoAmI: (...call) => real.whoAmI(...call),
    close: () => real.close(),
  };
}
