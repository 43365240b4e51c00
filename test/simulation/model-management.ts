import type { ManagementCallOptions, Management, PutOutcome } from '../../src/broker/management/management.ts';
import type { Machine } from './machine.ts';
import { type ModelBroker, type ModelObject, type ModelUser, TENANT_VHOST } from './model-broker.ts';
import type { Random } from './random.ts';
import { callRemotely, chooseJourney } from './remote-call.ts';
import type { Timeline } from './timeline.ts';

export interface ModelManagementParts {
  readonly timeline: Timeline;
  readonly random: Random;
  /** How often a call is slow or lost. */
  readonly faultRate: () => number;
  readonly broker: ModelBroker;
  readonly machine: Machine;
  /** Called right before and right after a write of an agent takes effect. */
  readonly onBefore: (what: string, name: string) => void;
  readonly onWritten: (what: string, name: string, by: string) => void;
}

/** The time-out of calls without one of their own. */
const TIMEOUT_MS = 10_000;

/** The management API as one process sees it, with the calls that the code under test makes. */
export function createModelManagement(parts: ModelManagementParts): Management {
  const { timeline, random, faultRate, broker, machine } = parts;
  const users = () => broker.sideOf(machine.name).users;
  const connections = () => broker.sideOf(machine.name).connections;
  const objects = () => broker.sideOf(machine.name).objects;

  const call = <T>(options: ManagementCallOptions | undefined, effect: () => T, isWrite = false): Promise<T> => {
    const timeoutMs = options?.timeoutMs ?? TIMEOUT_MS;
    return callRemotely({
      timeline,
      machine,
      journey: chooseJourney({ random, faultRate: faultRate(), machine, isWrite, timeoutMs }),
      timeoutMs,
      fault: 'BrokerUnavailable',
      signal: options?.signal,
      beforeSend: options?.beforeSend,
      effect,
    });
  };
  const write = <T>(
    what: string,
    name: string,
    options: ManagementCallOptions | undefined,
    effect: () => T,
  ): Promise<T> =>
    call(
      options,
      () => {
        parts.onBefore(what, name);
        const value = effect();
        parts.onWritten(what, name, machine.name);
        return value;
      },
      true,
    );
  const change = (
    what: string,
    name: string,
    options: ManagementCallOptions | undefined,
    effect: (found: ModelUser) => void,
  ): Promise<PutOutcome> =>
    write(what, name, options, () => {
      const found = users().get(name);
      if (found !== undefined) effect(found);
      return 'updated';
    });
  const remove = (
    what: string,
    name: string,
    options: ManagementCallOptions | undefined,
    effect: (found: ModelUser) => boolean,
  ): Promise<boolean> =>
    write(what, name, options, () => {
      const found = users().get(name);
      return found !== undefined && effect(found);
    });
  const listObjects = (kind: ModelObject['kind']): { name: string; type: string }[] =>
    [...objects().values()].filter((object) => object.kind === kind).map(({ name }) => ({ name, type: 'topic' }));

  const calls: Partial<Management> = {
    listNodes: (options) => call(options, () => broker.nodesFor(machine.name)),
    putUser: (name, user, options) =>
      write('put user', name, options, () => {
        const found = users().get(name);
        users().set(name, { permissions: {}, topicPermissions: [], limits: {}, ...found, user: { name, ...user } });
        return found === undefined ? 'created' : 'updated';
      }),
    getUser: (name, options) => call(options, () => users().get(name)?.user),
    deleteUser: (name, options) =>
      write('delete user', name, options, () => broker.sideOf(machine.name).deleteUser(name)),
    visitUsers: (visit, options) =>
      call(options, () => {
        for (const { user } of users().values()) visit(user);
      }),
    putPermissions: (vhost, name, permissions, options) =>
      change(
        'put permissions',
        name,
        options,
        (found) => void (found.permissions = { ...found.permissions, [vhost]: permissions }),
      ),
    deletePermissions: (vhost, name, options) =>
      remove('delete permissions', name, options, (found) => {
        const { [vhost]: removed, ...others } = found.permissions;
        found.permissions = others;
        return removed !== undefined;
      }),
    deleteTopicPermissions: (vhost, name, options) =>
      remove('delete topic permissions', name, options, (found) => {
        const hadSome = found.topicPermissions.includes(vhost);
        found.topicPermissions = found.topicPermissions.filter((other) => other !== vhost);
        return hadSome;
      }),
    listUserPermissions: (name, options) =>
      call(options, () =>
        Object.entries(users().get(name)?.permissions ?? {}).map(([vhost, granted]) => ({ vhost, ...granted })),
      ),
    listUserTopicPermissions: (name, options) => call(options, () => [...(users().get(name)?.topicPermissions ?? [])]),
    visitPermissions: (visit, options) =>
      call(options, () => {
        for (const [user, { permissions }] of users()) {
          for (const [vhost, granted] of Object.entries(permissions)) visit({ user, vhost, ...granted });
        }
      }),
    listTopicPermissions: (options) =>
      call(options, () =>
        [...users()].flatMap(([user, { topicPermissions }]) => topicPermissions.map((vhost) => ({ user, vhost }))),
      ),
    async putUserLimit(name, limit, value, options) {
      await change('put limit', name, options, (found) => void (found.limits = { ...found.limits, [limit]: value }));
    },
    deleteUserLimit: (name, limit, options) =>
      write('delete limit', name, options, () => {
        const found = users().get(name);
        if (found !== undefined) found.limits = { ...found.limits, [limit]: undefined };
        return found !== undefined;
      }),
    getUserLimits: (name, options) => call(options, () => users().get(name)?.limits ?? {}),
    visitUserLimits: (visit, options) =>
      call(options, () => {
        for (const [user, { limits }] of users()) visit({ user, limits });
      }),
    closeUserConnections: (user, _reason, options) =>
      call(options, () => broker.sideOf(machine.name).closeConnections(user)),
    listUserConnections: (user, options) =>
      call(options, () => [...connections().values()].filter((connection) => connection.user === user)),
    listOpenConnections: (options) => call(options, () => [...connections().values()]),
    listConnections: (vhost, options) =>
      call(options, () => (vhost === TENANT_VHOST ? [...connections().values()] : [])),
    closeConnection: (name, _reason, options) => call(options, () => connections().delete(name)),
    listQueueNames: (_vhost, options) => call(options, () => listObjects('queue').map(({ name }) => name)),
    // No node of this model is down.
    listDownQueues: (_vhost, options) => call(options, () => []),
    listExchanges: (_vhost, options) => call(options, () => listObjects('exchange')),
    deleteQueue: (_vhost, name, options) => write('delete queue', name, options, () => objects().delete(name)),
    deleteExchange: (_vhost, name, options) => write('delete exchange', name, options, () => objects().delete(name)),
  };
  return calls as Management;
}
