import * as z from 'zod';
import { AgentError } from '../../util/agent-errors.ts';
import {
  alarmsSchema,
  bindingSchema,
  connectionSchema,
  declaredQueueSchema,
  exchangeSchema,
  globalParameterSchema,
  identitySchema,
  listedPermissionsSchema,
  listedUserLimitsSchema,
  nameSchema,
  nodeSchema,
  overviewSchema,
  permissionsSchema,
  policySchema,
  queueSchema,
  queueOwnerSchema,
  userSchema,
  userLimitsSchema,
  vhostPermissionsSchema,
} from './management-schemas.ts';
import type {
  Binding,
  BrokerUser,
  DeclaredQueue,
  Identity,
  ListedConnection,
  ListedExchange,
  ListedPermissions,
  ListedQueue,
  ListedUserLimits,
  NamedPolicy,
  NodeAlarm,
  Overview,
  Permissions,
  Policy,
  RunningNode,
  UserLimitName,
  UserLimits,
  VhostPermissions,
} from './management-schemas.ts';
import { BrokerRefusal, createManagementHttp } from './management-http.ts';
import type { ManagementCallOptions, ManagementOptions } from './management-http.ts';

export { HASHING_ALGORITHM } from './management-schemas.ts';
export type {
  Binding,
  BrokerUser,
  DeclaredQueue,
  Identity,
  ListedConnection,
  ListedExchange,
  ListedPermissions,
  ListedQueue,
  ListedUserLimits,
  NamedPolicy,
  NodeAlarm,
  Overview,
  Permissions,
  Policy,
  RunningNode,
  UserLimitName,
  UserLimits,
  VhostPermissions,
} from './management-schemas.ts';
export { BrokerRefusal } from './management-http.ts';
export type { ManagementCallOptions, ManagementOptions } from './management-http.ts';

/** `created` when there was nothing of that name (201), else `updated` (204). */
export type PutOutcome = 'created' | 'updated';

/**
 * The calls of RabbitMQ's management API that the agent makes. All of them throw `AgentError` `BrokerUnavailable` or
 * `BrokerRefusal` (see management-http.ts); those that delete return false when there was nothing to delete.
 */
export interface Management {
  putUser(name: string, user: Omit<BrokerUser, 'name'>, options?: ManagementCallOptions): Promise<PutOutcome>;
  getUser(name: string, options?: ManagementCallOptions): Promise<BrokerUser | undefined>;
  deleteUser(name: string, options?: ManagementCallOptions): Promise<boolean>;
  listUsers(options?: ManagementCallOptions): Promise<BrokerUser[]>;
  putPermissions(
    vhost: string,
    user: string,
    permissions: Permissions,
    options?: ManagementCallOptions,
  ): Promise<PutOutcome>;
  getPermissions(vhost: string, user: string, options?: ManagementCallOptions): Promise<Permissions | undefined>;
  putUserLimit(user: string, limit: UserLimitName, value: number, options?: ManagementCallOptions): Promise<void>;
  deleteUserLimit(user: string, limit: UserLimitName, options?: ManagementCallOptions): Promise<boolean>;
  getUserLimits(user: string, options?: ManagementCallOptions): Promise<UserLimits>;
  /** Closes every connection of the user, who is told `reason`; also fine when there is no such user. */
  closeUserConnections(user: string, reason: string, options?: ManagementCallOptions): Promise<void>;
  /** Goes through the permissions of all users in the virtual host, as they arrive; rejects with what `visit` throws. */
  visitPermissions(
    vhost: string,
    visit: (listed: ListedPermissions) => void,
    options?: ManagementCallOptions,
  ): Promise<void>;
  /** What the user may do, in every virtual host; empty when there is no such user. */
  listUserPermissions(user: string, options?: ManagementCallOptions): Promise<VhostPermissions[]>;
  /** Goes through the limits of all users that have some, as they arrive; rejects with what `visit` throws. */
  visitUserLimits(visit: (listed: ListedUserLimits) => void, options?: ManagementCallOptions): Promise<void>;
  /** The open connections of a user, a few ms old; empty when there is no such user. */
  listUserConnections(user: string, options?: ManagementCallOptions): Promise<ListedConnection[]>;
  /** All connections that are open now, in every virtual host, without their age. */
  listOpenConnections(options?: ManagementCallOptions): Promise<ListedConnection[]>;
  /** The open connections of the virtual host with their age, up to five seconds old. */
  listConnections(vhost: string, options?: ManagementCallOptions): Promise<ListedConnection[]>;
  /** Closes one connection, whose client is told `reason`. */
  closeConnection(name: string, reason: string, options?: ManagementCallOptions): Promise<boolean>;
  putPolicy(vhost: string, name: string, policy: Policy, options?: ManagementCallOptions): Promise<PutOutcome>;
  deletePolicy(vhost: string, name: string, options?: ManagementCallOptions): Promise<boolean>;
  listPolicies(vhost: string, options?: ManagementCallOptions): Promise<NamedPolicy[]>;
  /** An operator policy holds beside the policies and arguments of a queue, and the lower of two limits counts. */
  putOperatorPolicy(vhost: string, name: string, policy: Policy, options?: ManagementCallOptions): Promise<PutOutcome>;
  deleteOperatorPolicy(vhost: string, name: string, options?: ManagementCallOptions): Promise<boolean>;
  listOperatorPolicies(vhost: string, options?: ManagementCallOptions): Promise<NamedPolicy[]>;
  /** Its value, or undefined. */
  getGlobalParameter(name: string, options?: ManagementCallOptions): Promise<unknown>;
  putGlobalParameter(name: string, value: object, options?: ManagementCallOptions): Promise<PutOutcome>;
  deleteGlobalParameter(name: string, options?: ManagementCallOptions): Promise<boolean>;
  /** Every queue with its depth, without the statistics, which take ten times as long and are seconds old. */
  listQueues(vhost: string, options?: ManagementCallOptions): Promise<ListedQueue[]>;
  /** The names of all queues, of those also that have crashed, which a listing with depths leaves out. */
  listQueueNames(vhost: string, options?: ManagementCallOptions): Promise<string[]>;
  /** A queue without its depth, which RabbitMQ 3.10 does not tell here. */
  getQueue(vhost: string, name: string, options?: ManagementCallOptions): Promise<DeclaredQueue | undefined>;
  /**
   * The name of the connection that alone may use and delete a queue. Undefined when there is none, and for the first
   * seconds of the connection, as this is one of the statistics.
   */
  getQueueOwner(vhost: string, name: string, options?: ManagementCallOptions): Promise<string | undefined>;
  deleteQueue(vhost: string, name: string, options?: ManagementCallOptions): Promise<boolean>;
  listExchanges(vhost: string, options?: ManagementCallOptions): Promise<ListedExchange[]>;
  deleteExchange(vhost: string, name: string, options?: ManagementCallOptions): Promise<boolean>;
  /** All bindings but those of the default exchange, which nobody can remove. */
  listBindings(vhost: string, options?: ManagementCallOptions): Promise<Binding[]>;
  /** The bindings that bring messages of other exchanges into this one. */
  listBindingsInto(vhost: string, exchange: string, options?: ManagementCallOptions): Promise<Binding[]>;
  /** Whether there is such an exchange; false also when there is no such vhost. */
  hasExchange(vhost: string, name: string, options?: ManagementCallOptions): Promise<boolean>;
  /** The bindings that take messages from this exchange. */
  listBindingsFrom(vhost: string, exchange: string, options?: ManagementCallOptions): Promise<Binding[]>;
  deleteBinding(vhost: string, binding: Binding, options?: ManagementCallOptions): Promise<boolean>;
  /** The nodes that run. The API tells the Erlang/OTP of one; those of a cluster have the same but during an upgrade. */
  runningNodes(options?: ManagementCallOptions): Promise<RunningNode[]>;
  /** The alarms that the nodes have set, up to five seconds old. Nodes that are down tell none. */
  listAlarms(options?: ManagementCallOptions): Promise<NodeAlarm[]>;
  overview(options?: ManagementCallOptions): Promise<Overview>;
  whoAmI(options?: ManagementCallOptions): Promise<Identity>;
  /** Closes the idle connections to the API. */
  close(): void;
}

/** A hundred thousand queues take some seconds to list, and more on a broker with other work; in ms. */
const LISTING_TIMEOUT_MS = 60_000;

/**
 * A client of the management API.
 *
 * @example
 * const management = createManagement({ url: 'http://localhost:15672', username: 'agent', password, timeoutMs: 10_000 });
 * await management.getUser('pulse-agent-claimant');
 */
export function createManagement(settings: ManagementOptions): Management {
  const transport = createManagementHttp(settings);

  /** GETs and reads; what is missing is undefined. */
  const find = async <T>(
    form: z.ZodType<T>,
    path: string[],
    options?: ManagementCallOptions,
    query?: Record<string, string>,
  ) => {
    const request = { method: 'GET', path, ...(query === undefined ? {} : { query }) } as const;
    const answer = await transport.send(request, options);
    if (answer.status === 404) return undefined;
    const read = form.safeParse(answer.body);
    if (read.success) return read.data;
    throw unreadable(path);
  };
  /** For what is always there: a wrong address must not look like a broker without queues. */
  const get = async <T>(
    form: z.ZodType<T>,
    path: string[],
    options?: ManagementCallOptions,
    query?: Record<string, string>,
  ) => {
    const found = await find(form, path, options, query);
    if (found !== undefined) return found;
    throw transport.refusal({ method: 'GET', path }, { status: 404, body: undefined });
  };
  /** Each element is read as it arrives: all that RabbitMQ says of ten thousand accounts is a lot at once. */
  const visitAll = async <T>(
    form: z.ZodType<T>,
    path: string[],
    visit: (listed: T) => void,
    options?: ManagementCallOptions,
    query?: Record<string, string>,
  ): Promise<void> => {
    const request = { method: 'GET', path, ...(query === undefined ? {} : { query }) } as const;
    let isRead = true;
    // Out of the transport it would look like a fault of the network.
    const faults: unknown[] = [];
    const read = (element: unknown): void => {
      const { success, data } = form.safeParse(element);
      isRead &&= success;
      if (!success || faults.length > 0) return;
      try {
        visit(data);
      } catch (fault) {
        faults.push(fault);
      }
    };
    const answer = await transport.sendForList(request, read, { timeoutMs: LISTING_TIMEOUT_MS, ...options });
    if (faults.length > 0) throw faults[0];
    if (answer.status === 404) throw transport.refusal(request, answer);
    if (!isRead || answer.body !== undefined) throw unreadable(path);
  };
  const list = async <T>(
    form: z.ZodType<T>,
    path: string[],
    options?: ManagementCallOptions,
    query?: Record<string, string>,
  ) => {
    const found: T[] = [];
    await visitAll(form, path, (listed) => void found.push(listed), options, query);
    return found;
  };
  const put = async (path: string[], body: object, options?: ManagementCallOptions): Promise<PutOutcome> => {
    const answer = await transport.send({ method: 'PUT', path, body }, options);
    if (answer.status === 201) return 'created';
    if (answer.status !== 404) return 'updated';
    throw transport.refusal({ method: 'PUT', path }, answer);
  };
  const remove = async (path: string[], options?: ManagementCallOptions, headers: Record<string, string> = {}) =>
    (await transport.send({ method: 'DELETE', path, headers }, options)).status !== 404;

  return {
    async putUser(name, { passwordHash, hashingAlgorithm, tags }, options) {
      const send = () =>
        put(['users', name], { password_hash: passwordHash, hashing_algorithm: hashingAlgorithm, tags }, options);
      try {
        return await send();
      } catch (error) {
        // Of several that make one user at once, RabbitMQ refuses all but the first.
        if (!(error instanceof BrokerRefusal && error.reason.includes('user_already_exists'))) throw error;
        return await send();
      }
    },
    getUser: (name, options) => find(userSchema, ['users', name], options),
    deleteUser: (name, options) => remove(['users', name], options),
    listUsers: (options) => list(userSchema, ['users'], options),
    putPermissions: (vhost, user, permissions, options) => put(['permissions', vhost, user], permissions, options),
    getPermissions: (vhost, user, options) => find(permissionsSchema, ['permissions', vhost, user], options),
    async putUserLimit(user, limit, value, options) {
      await put(['user-limits', user, limit], { value }, options);
    },
    deleteUserLimit: (user, limit, options) => remove(['user-limits', user, limit], options),
    getUserLimits: async (user, options) => (await find(userLimitsSchema, ['user-limits', user], options)) ?? {},
    async closeUserConnections(user, reason, options) {
      const headers = { 'X-Reason': reason };
      await transport.send({ method: 'DELETE', path: ['connections', 'username', user], headers }, options);
    },
    visitPermissions: (vhost, visit, options) =>
      visitAll(listedPermissionsSchema, ['vhosts', vhost, 'permissions'], visit, options),
    listUserPermissions: async (user, options) =>
      (await find(z.array(vhostPermissionsSchema), ['users', user, 'permissions'], options)) ?? [],
    visitUserLimits: (visit, options) => visitAll(listedUserLimitsSchema, ['user-limits'], visit, options),
    listUserConnections: async (user, options) =>
      (await find(z.array(connectionSchema), ['connections', 'username', user], options)) ?? [],
    listOpenConnections: (options) => list(connectionSchema, ['connections'], options, NOW_OPEN),
    listConnections: (vhost, options) => list(connectionSchema, ['vhosts', vhost, 'connections'], options, AGE_ONLY),
    closeConnection: (name, reason, options) => remove(['connections', name], options, { 'X-Reason': reason }),
    putPolicy: (vhost, name, { pattern, applyTo, definition, priority }, options) =>
      put(['policies', vhost, name], { pattern, 'apply-to': applyTo, definition, priority }, options),
    deletePolicy: (vhost, name, options) => remove(['policies', vhost, name], options),
    listPolicies: (vhost, options) => list(policySchema, ['policies', vhost], options),
    putOperatorPolicy: (vhost, name, { pattern, applyTo, definition, priority }, options) =>
      put(['operator-policies', vhost, name], { pattern, 'apply-to': applyTo, definition, priority }, options),
    deleteOperatorPolicy: (vhost, name, options) => remove(['operator-policies', vhost, name], options),
    listOperatorPolicies: (vhost, options) => list(policySchema, ['operator-policies', vhost], options),
    getGlobalParameter: (name, options) => find(globalParameterSchema, ['global-parameters', name], options),
    putGlobalParameter: (name, value, options) => put(['global-parameters', name], { name, value }, options),
    deleteGlobalParameter: (name, options) => remove(['global-parameters', name], options),
    listQueues: (vhost, options) => list(queueSchema, ['queues', vhost], options, DEPTHS_ONLY),
    listQueueNames: (vhost, options) => list(nameSchema, ['queues', vhost], options, NAMES_ONLY),
    getQueue: (vhost, name, options) =>
      find(declaredQueueSchema, ['queues', vhost, name], options, { disable_stats: 'true', columns: 'name,type' }),
    getQueueOwner: (vhost, name, options) =>
      find(queueOwnerSchema, ['queues', vhost, name], options, { columns: 'name,owner_pid_details' }),
    deleteQueue: (vhost, name, options) => remove(['queues', vhost, name], options),
    listExchanges: (vhost, options) => list(exchangeSchema, ['exchanges', vhost], options, { columns: 'name,type' }),
    deleteExchange: (vhost, name, options) => remove(['exchanges', vhost, name], options),
    listBindings: async (vhost, options) =>
      (await list(bindingSchema, ['bindings', vhost], options)).filter(({ source }) => source !== ''),
    listBindingsInto: (vhost, exchange, options) =>
      list(bindingSchema, ['exchanges', vhost, exchange, 'bindings', 'destination'], options),
    listBindingsFrom: (vhost, exchange, options) =>
      list(bindingSchema, ['exchanges', vhost, exchange, 'bindings', 'source'], options),
    hasExchange: async (vhost, name, options) =>
      (await find(exchangeSchema, ['exchanges', vhost, name], options)) !== undefined,
    deleteBinding(vhost, { source, destination, destinationType, propertiesKey }, options) {
      const kind = destinationType === 'queue' ? 'q' : 'e';
      return remove(['bindings', vhost, 'e', source, kind, destination, propertiesKey], options);
    },
    async runningNodes(options) {
      const [nodes, { erlangVersion }] = await Promise.all([
        get(z.array(nodeSchema), ['nodes'], options, { columns: 'name,running' }),
        get(overviewSchema, ['overview'], options),
      ]);
      const otpRelease = Number.parseInt(erlangVersion, 10);
      return nodes.filter(({ running }) => running).map(({ name }) => ({ name, otpRelease }));
    },
    listAlarms: async (options) =>
      (await get(z.array(alarmsSchema), ['nodes'], options, { columns: 'name,mem_alarm,disk_free_alarm' })).flat(),
    overview: (options) => get(overviewSchema, ['overview'], options),
    whoAmI: (options) => get(identitySchema, ['whoami'], options),
    close: () => transport.close(),
  };
}

function unreadable(path: readonly string[]): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `What answers GET /api/${path.join('/')} is not RabbitMQ's management API. Check RABBITMQ_MANAGEMENT_URL.`,
  );
}

/** Without the statistics the listing is made from what the nodes keep of their connections: 35 ms for 2000, no delay. */
const NOW_OPEN = { disable_stats: 'true', columns: 'name,user' };
const AGE_ONLY = { columns: 'name,user,connected_at' };
const NAMES_ONLY = { disable_stats: 'true', columns: 'name' };
const DEPTHS_ONLY = { disable_stats: 'true', enable_queue_totals: 'true', columns: 'name,messages,state' };
