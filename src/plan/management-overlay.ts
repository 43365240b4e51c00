import type { BrokerUser, Management } from '../broker/management/management.ts';
import type { Clock } from '../util/clock.ts';
import { type OnEffect, RecordOverlay } from './record-overlay.ts';

/** How long it answers as if a change had been made, in ms: longer than any one step looks for its own effects. */
const LASTS_MS = 60_000;

/**
 * The management API with its writes left out: they are told, and for a while the answers are as if they had been made, so
 * that whoever waits for its own effect goes on. Every call is named here, one by one: a new call that writes cannot slip
 * through.
 */
export function overlayManagement(real: Management, clock: Clock, onEffect: OnEffect): Management {
  const monotonicMs = (): number => clock.monotonicMs();
  const users = new RecordOverlay<BrokerUser | 'deleted'>(monotonicMs, LASTS_MS);
  const gone = new RecordOverlay<true>(monotonicMs, LASTS_MS);
  const tell = (call: string, subject: string): void => onEffect({ call, subject });
  const remove = (call: string, kind: string, name: string): boolean => {
    const key = `${kind} ${name}`;
    if (gone.has(key)) return false;
    tell(call, name);
    gone.set(key, true);
    return true;
  };
  const there =
    (kind: string) =>
    ({ name }: { readonly name: string }): boolean =>
      !gone.has(`${kind} ${name}`);
  const isOpen = (connection: { readonly name: string; readonly user: string }): boolean =>
    there('connection')(connection) && !gone.has(`connections of ${connection.user}`);

  const getUser: Management['getUser'] = async (name, options) => {
    const pretended = users.get(name);
    if (pretended === undefined) return await real.getUser(name, options);
    return pretended === 'deleted' ? undefined : pretended;
  };

  return {
    getUser,
    async putUser(name, user, options) {
      options?.beforeSend?.();
      const isNew = (await getUser(name, options)) === undefined;
      tell('putUser', name);
      users.set(name, { name, ...user });
      return isNew ? 'created' : 'updated';
    },
    async deleteUser(name, options) {
      options?.beforeSend?.();
      if ((await getUser(name, options)) === undefined) return false;
      tell('deleteUser', name);
      users.set(name, 'deleted');
      // RabbitMQ closes them with their user.
      gone.set(`connections of ${name}`, true);
      return true;
    },
    listUsers: async (options) =>
      (await real.listUsers(options)).flatMap((user) => {
        const pretended = users.get(user.name) ?? user;
        return pretended === 'deleted' ? [] : [pretended];
      }),
    async putPermissions(vhost, user, _permissions, options) {
      options?.beforeSend?.();
      const isNew = (await real.getPermissions(vhost, user, options)) === undefined;
      tell('putPermissions', user);
      return isNew ? 'created' : 'updated';
    },
    async putUserLimit(user, _limit, _value, options) {
      options?.beforeSend?.();
      await Promise.resolve();
      tell('putUserLimit', user);
    },
    async deleteUserLimit(user, _limit, options) {
      options?.beforeSend?.();
      tell('deleteUserLimit', user);
      return await Promise.resolve(true);
    },
    async closeUserConnections(user, _reason, options) {
      options?.beforeSend?.();
      const open = (await real.listUserConnections(user, options)).filter(isOpen);
      if (open.length > 0) tell('closeUserConnections', user);
      for (const { name } of open) gone.set(`connection ${name}`, true);
    },
    closeConnection: async (name) => await Promise.resolve(remove('closeConnection', 'connection', name)),
    deleteQueue: async (_vhost, name) => await Promise.resolve(remove('deleteQueue', 'queue', name)),
    deleteExchange: async (_vhost, name) => await Promise.resolve(remove('deleteExchange', 'exchange', name)),
    deleteBinding: async (_vhost, { source, destination }) =>
      await Promise.resolve(remove('deleteBinding', 'binding', `${source} → ${destination}`)),
    putPolicy: async (_vhost, name) => {
      tell('putPolicy', name);
      return await Promise.resolve('updated');
    },
    deletePolicy: async (_vhost, name) => await Promise.resolve(remove('deletePolicy', 'policy', name)),
    putOperatorPolicy: async (_vhost, name) => {
      tell('putOperatorPolicy', name);
      return await Promise.resolve('updated');
    },
    deleteOperatorPolicy: async (_vhost, name) =>
      await Promise.resolve(remove('deleteOperatorPolicy', 'operator policy', name)),
    putGlobalParameter: async (name) => {
      tell('putGlobalParameter', name);
      return await Promise.resolve('updated');
    },
    deleteGlobalParameter: async (name) =>
      await Promise.resolve(remove('deleteGlobalParameter', 'global parameter', name)),
    listUserConnections: async (user, options) => (await real.listUserConnections(user, options)).filter(isOpen),
    listOpenConnections: async (options) => (await real.listOpenConnections(options)).filter(isOpen),
    listConnections: async (vhost, options) => (await real.listConnections(vhost, options)).filter(isOpen),
    async getQueue(vhost, name, options) {
      const found = await real.getQueue(vhost, name, options);
      return found !== undefined && there('queue')(found) ? found : undefined;
    },
    listQueues: async (vhost, options) => (await real.listQueues(vhost, options)).filter(there('queue')),
    listQueueNames: async (vhost, options) =>
      (await real.listQueueNames(vhost, options)).filter((name) => there('queue')({ name })),
    listExchanges: async (vhost, options) => (await real.listExchanges(vhost, options)).filter(there('exchange')),
    listBindings: async (vhost, options) =>
      (await real.listBindings(vhost, options)).filter(
        ({ source, destination }) => !gone.has(`binding ${source} → ${destination}`),
      ),
    getQueueOwner: (...call) => real.getQueueOwner(...call),
    getPermissions: (...call) => real.getPermissions(...call),
    getUserLimits: (...call) => real.getUserLimits(...call),
    visitPermissions: (...call) => real.visitPermissions(...call),
    listUserPermissions: (...call) => real.listUserPermissions(...call),
    visitUserLimits: (...call) => real.visitUserLimits(...call),
    listPolicies: (...call) => real.listPolicies(...call),
    listOperatorPolicies: (...call) => real.listOperatorPolicies(...call),
    getGlobalParameter: (...call) => real.getGlobalParameter(...call),
    listBindingsInto: (...call) => real.listBindingsInto(...call),
    hasExchange: (...call) => real.hasExchange(...call),
    listBindingsFrom: (...call) => real.listBindingsFrom(...call),
    runningNodes: (...call) => real.runningNodes(...call),
    listAlarms: (...call) => real.listAlarms(...call),
    overview: (...call) => real.overview(...call),
    whoAmI: (...call) => real.whoAmI(...call),
    close: () => real.close(),
  };
}
