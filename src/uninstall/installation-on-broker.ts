import { isBackstopName } from '../broker/backstop.ts';
import { brokerEventQueues } from '../broker/amqp/broker-events.ts';
import type { Management } from '../broker/management/management.ts';
import { markedStore, markerNames, readFormerStoreIds } from '../broker/marker.ts';
import { brokerEventsPolicies, limitPolicies } from '../broker/policies.ts';
import { requestVhostDescription } from '../broker/request-vhost.ts';
import { storesOfTags } from '../broker/store-tag.ts';
import type { Config } from '../config/config.ts';
import { contractNames, namespaceOfAccount } from '../contract/names.ts';
import { listOwnedObjects } from '../namespaces/owned-objects.ts';
import { matchesAny } from '../util/name-pattern.ts';

/** The calls that find what agents made. */
export type InstallationReads = Pick<
  Management,
  | 'hasVhost'
  | 'getVhostDescription'
  | 'getPermissions'
  | 'getUser'
  | 'visitUsers'
  | 'listPolicies'
  | 'listOperatorPolicies'
  | 'listQueueNames'
  | 'listExchanges'
  | 'getGlobalParameter'
>;

/** The settings that name what agents make. */
export type InstallationSettings = Pick<
  Config,
  | 'id'
  | 'vhost'
  | 'requestVhost'
  | 'eventVhost'
  | 'usernamePrefix'
  | 'namespacePrefix'
  | 'reservedNamespaces'
  | 'agentUser'
>;

/** What agents made in a vhost, and whether something else is there. */
export interface RequestVhostContents {
  /** Whether agents created the vhost itself. */
  readonly isOwn: boolean;
  readonly queues: readonly string[];
  readonly exchanges: readonly string[];
  readonly policies: readonly string[];
  /** Whether the agent's account has permissions there. */
  readonly hasPermissions: boolean;
  /** Queues, exchanges and policies that no agent made. */
  readonly foreign: readonly string[];
}

/** What the agents of a store made on the broker, as far as it is there. */
export interface InstallationOnBroker {
  readonly operatorPolicies: readonly string[];
  /** In the vhost of the tenants. */
  readonly exchanges: readonly string[];
  /** In the vhost of the event exchange, as the policies. */
  readonly eventQueues: readonly string[];
  readonly eventPolicies: readonly string[];
  /** Undefined: there is none. */
  readonly requestVhost: RequestVhostContents | undefined;
  readonly claimant: string | undefined;
  readonly markers: readonly string[];
  readonly accounts: readonly string[];
  readonly namespaceQueues: readonly string[];
  /** Other queues of namespaces, which an operator wants to stay. */
  readonly exemptQueues: readonly string[];
  readonly namespaceExchanges: readonly string[];
  /** Users with a name that agents use, which no agent of this store made. */
  readonly foreignUsers: readonly string[];
}

/** What the store says of the broker. */
export interface StoreFindings {
  readonly storeId: string;
  readonly recorded: Iterable<string>;
  readonly isExempt: (queue: string) => boolean;
}

/**
 * Finds what the agents of a store made. Things of another installation have other names, or the tag of another store.
 *
 * @param recorded the namespaces that the store has, without tombstones
 * @param isExempt whether an operator wants a queue to stay now
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`
 */
export async function findInstallation(
  management: InstallationReads,
  settings: InstallationSettings,
  { storeId, recorded, isExempt }: StoreFindings,
  signal: AbortSignal,
): Promise<InstallationOnBroker> {
  const { id, vhost, eventVhost, reservedNamespaces } = settings;
  const options = { signal };
  const names = contractNames(id);
  const stores = new Set([storeId, ...(await readFormerStoreIds(management, settings, options))]);
  const { accounts, claimant, namespaces, foreignUsers } = await findUsers(management, settings, stores, signal);
  const held = new Set([...namespaces, ...recorded].filter((name) => !matchesAny(reservedNamespaces, name)));

  const hasTenants = await management.hasVhost(vhost, options);
  const hasEvents = await management.hasVhost(eventVhost, options);
  const owned = hasTenants ? [...(await listOwnedObjects(management, vhost, held, signal)).values()] : [];
  const queues = owned.flatMap((objects) => objects.queues).toSorted();
  const operatorPolicies = hasTenants ? await management.listOperatorPolicies(vhost, options) : [];
  const exchanges = hasTenants ? await management.listExchanges(vhost, options) : [];
  const eventQueues = hasEvents ? await management.listQueueNames(eventVhost, options) : [];
  const eventPolicies = hasEvents ? await management.listPolicies(eventVhost, options) : [];
  const ownEventQueues = brokerEventQueues(id).map(({ queue }) => queue);
  return {
    operatorPolicies: operatorPolicies.map(nameOf).filter((name) => isBackstopName(id, name)),
    exchanges: among([names.eventsExchange], exchanges.map(nameOf)),
    eventQueues: among(ownEventQueues, eventQueues),
    eventPolicies: among(brokerEventsPolicies(id).map(nameOf), eventPolicies.map(nameOf)),
    requestVhost: await findRequestVhost(management, settings, signal),
    claimant,
    markers: await findMarkers(management, settings, storeId, signal),
    accounts: accounts.toSorted(),
    namespaceQueues: queues.filter((name) => !isExempt(name)),
    exemptQueues: queues.filter(isExempt),
    namespaceExchanges: owned.flatMap((objects) => objects.exchanges).toSorted(),
    foreignUsers: foreignUsers.toSorted(),
  };
}

async function findUsers(
  management: Pick<Management, 'visitUsers'>,
  settings: InstallationSettings,
  stores: ReadonlySet<string>,
  signal: AbortSignal,
) {
  const { claimantUser } = contractNames(settings.id);
  const accounts: string[] = [];
  const foreignUsers: string[] = [];
  const namespaces = new Set<string>();
  let claimant: string | undefined;
  await management.visitUsers(
    ({ name, tags }) => {
      const namespace = namespaceOfAccount(settings, name);
      if (namespace === undefined && name !== claimantUser) return;
      const isOwn = storesOfTags(tags).some((store) => stores.has(store));
      if (!isOwn) foreignUsers.push(name);
      else if (name === claimantUser) claimant = name;
      else if (namespace !== undefined) {
        accounts.push(name);
        namespaces.add(namespace);
      }
    },
    { signal },
  );
  return { accounts, claimant, namespaces, foreignUsers };
}

async function findRequestVhost(
  management: InstallationReads,
  { id, requestVhost, agentUser }: InstallationSettings,
  signal: AbortSignal,
): Promise<RequestVhostContents | undefined> {
  const options = { signal };
  if (!(await management.hasVhost(requestVhost, options))) return undefined;
  const names = contractNames(id);
  const queues = await management.listQueueNames(requestVhost, options);
  const exchanges = (await management.listExchanges(requestVhost, options)).map(nameOf).filter(isDeclared);
  const policies = (await management.listPolicies(requestVhost, options)).map(nameOf);
  const operatorPolicies = (await management.listOperatorPolicies(requestVhost, options)).map(nameOf);
  const own = {
    queues: among([names.requestQueue, names.unknownMethodsQueue, names.deadQueue], queues),
    exchanges: among([names.rpcExchange, names.deadExchange], exchanges),
    policies: among(limitPolicies({ id, maxSkewSeconds: 0 }).map(nameOf), policies),
  };
  return {
    ...own,
    isOwn: (await management.getVhostDescription(requestVhost, options)) === requestVhostDescription(id),
    hasPermissions: (await management.getPermissions(requestVhost, agentUser, options)) !== undefined,
    foreign: [
      ...except(own.queues, queues).map((name) => `queue ${name}`),
      ...except(own.exchanges, exchanges).map((name) => `exchange ${name}`),
      ...except(own.policies, policies).map((name) => `policy ${name}`),
      ...operatorPolicies.map((name) => `operator policy ${name}`),
    ],
  };
}

async function findMarkers(
  management: Pick<Management, 'getGlobalParameter'>,
  settings: InstallationSettings,
  storeId: string,
  signal: AbortSignal,
): Promise<string[]> {
  const found = await Promise.all(
    markerNames(settings).map(async (name) => ({ name, value: await management.getGlobalParameter(name, { signal }) })),
  );
  return found.filter(({ value }) => markedStore(value) === storeId).map(nameOf);
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

/** RabbitMQ has exchanges of its own in each vhost. */
function isDeclared(exchange: string): boolean {
  return exchange !== '' && !exchange.startsWith('amq.');
}

function among(wanted: readonly string[], present: readonly string[]): string[] {
  return wanted.filter((name) => present.includes(name));
}

function except(own: readonly string[], present: readonly string[]): string[] {
  return present.filter((name) => !own.includes(name));
}
