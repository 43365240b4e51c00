import * as z from 'zod';
import type { Clock } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { ManagementCallOptions, Management } from './management/management.ts';

/** A global parameter that marks a part of a broker as that of one store. */
interface BrokerMarker {
  readonly storeId: string;
  /** The id of the agent that wrote the marker. */
  readonly id: string;
  /** When it was written, in ISO 8601. */
  readonly since: string;
  /** The stores from which it was taken over by `adopt`. */
  readonly formerStoreIds: readonly string[];
  /** The settings of that agent which all agents of the store must share. */
  readonly names: MarkedNames;
}

/** What all agents of a store have in common, and, except the vhost, two installations on one broker must not share. */
interface MarkedNames {
  readonly id: string;
  readonly vhost: string;
  readonly requestVhost: string;
  readonly usernamePrefix: string;
  readonly namespacePrefix: string;
}

interface MarkerSettings extends MarkedNames {
  readonly storeId: string;
  /** Whether to take over what another store has marked, on the operator's command. */
  readonly adopt: boolean;
}

/** The calls that {@link claimBroker} makes. */
type MarkerManagement = Pick<Management, 'getGlobalParameter' | 'putGlobalParameter'>;

const MARKER = z.object({
  storeId: z.string(),
  id: z.string(),
  since: z.string(),
  formerStoreIds: z.array(z.string()).default([]),
  names: z.partialRecord(z.string(), z.string()).default({}),
});

const NAMES = ['id', 'vhost', 'requestVhost', 'usernamePrefix', 'namespacePrefix'] as const;

/**
 * The names of the global parameters: one for the prefixes, which name accounts and namespaces, one for the id, which
 * names the claimant and the queue of broker events, and one for the vhost of the requests. Two installations can share
 * a broker that differ in all three.
 */
export function markerNames({
  id,
  requestVhost,
  usernamePrefix,
  namespacePrefix,
}: Omit<MarkedNames, 'vhost'>): string[] {
  return [
    `pulse-agent.${usernamePrefix}${namespacePrefix}`,
    `pulse-agent-id.${id}`,
    `pulse-agent-vhost.${requestVhost}`,
  ];
}

/**
 * Ensures that the broker is marked as that of this store. With two stores on one broker, each would treat the other's
 * accounts as unknown users and hand out passwords that the other overwrites; with one id, each would change the password
 * of the claimant and take half of the requests. Two agents of one store with different names would undo what the other
 * did; a change of a name on purpose needs `adopt`, too.
 *
 * @returns `ours` when all markers existed, else `marked` or `adopted`
 * @throws AgentError `BrokerMarked` when another store, or an agent with other names, has marked it; `BrokerUnavailable`, `BrokerRefused`
 */
export async function claimBroker(
  management: MarkerManagement,
  settings: MarkerSettings,
  clock: Clock,
  options?: ManagementCallOptions,
): Promise<'ours' | 'marked' | 'adopted'> {
  const { storeId, id, vhost, requestVhost, usernamePrefix, namespacePrefix, adopt } = settings;
  const markers = await readMarkers(management, settings, options);
  if (!adopt) assertOurs(markers, settings);
  const names: MarkedNames = { id, vhost, requestVhost, usernamePrefix, namespacePrefix };
  const missing = markers.filter(
    ({ value }) => markedStore(value) !== storeId || NAMES.some((name) => namesIn(value)[name] !== settings[name]),
  );
  if (missing.length === 0) return 'ours';
  for (const { name, value } of missing) {
    const formerStoreIds = storesOf(value).filter((store) => store !== storeId);
    const marker: BrokerMarker = { storeId, id, since: new Date(clock.nowMs()).toISOString(), formerStoreIds, names };
    await management.putGlobalParameter(name, marker, options);
  }
  // The API has no conditional PUT: where two agents found no marker, the second has overwritten the first's.
  assertOurs(await readMarkers(management, settings, options), settings);
  return missing.every(({ value }) => value === undefined) ? 'marked' : 'adopted';
}

/**
 * Asserts that the broker is not another store's, and not marked by an agent with other names, without marking it.
 *
 * @throws AgentError `BrokerMarked` when it is; `BrokerUnavailable`, `BrokerRefused`
 */
export async function assertNotForeign(
  management: Pick<MarkerManagement, 'getGlobalParameter'>,
  settings: MarkedNames & Pick<MarkerSettings, 'storeId'>,
  options?: ManagementCallOptions,
): Promise<void> {
  assertOurs(await readMarkers(management, settings, options), settings);
}

/**
 * The stores from which an operator took the broker over with `adopt`. Their accounts are this store's.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`
 */
export async function readFormerStoreIds(
  management: Pick<MarkerManagement, 'getGlobalParameter'>,
  names: MarkedNames,
  options?: ManagementCallOptions,
): Promise<string[]> {
  const [ofPrefixes] = await readMarkers(management, names, options);
  return [...(MARKER.safeParse(ofPrefixes?.value).data?.formerStoreIds ?? [])];
}

/** The storeId of a marker; undefined when no agent wrote it. */
export function markedStore(marker: unknown): string | undefined {
  return MARKER.safeParse(marker).data?.storeId;
}

/** A marker as it was read; the value is undefined when there is none. */
interface ReadMarker {
  readonly name: string;
  readonly value: unknown;
}

async function readMarkers(
  management: Pick<MarkerManagement, 'getGlobalParameter'>,
  names: MarkedNames,
  options: ManagementCallOptions | undefined,
): Promise<ReadMarker[]> {
  const read = async (name: string) => ({ name, value: await management.getGlobalParameter(name, options) });
  return await Promise.all(markerNames(names).map(read));
}

function assertOurs(markers: readonly ReadMarker[], own: MarkedNames & Pick<MarkerSettings, 'storeId'>): void {
  for (const { name, value } of markers) {
    if (value !== undefined && markedStore(value) !== own.storeId) throw foreign(name, value);
  }
  for (const { name, value } of markers) {
    const differing = otherNames(value, own);
    if (differing !== undefined) throw renamed(name, differing);
  }
}

/** How the names of the agent that wrote the marker differ from these; undefined when they do not. */
export function otherNames(marker: unknown, own: MarkedNames): string | undefined {
  const marked = namesIn(marker);
  const differing = NAMES.filter((name) => marked[name] !== undefined && marked[name] !== own[name]);
  if (differing.length === 0) return undefined;
  return differing.map((name) => `${name} is "${marked[name]}" there and "${own[name]}" here`).join(', ');
}

function namesIn(marker: unknown): Partial<Record<string, string>> {
  return MARKER.safeParse(marker).data?.names ?? {};
}

function renamed(name: string, differing: string): AgentError {
  return new AgentError(
    'BrokerMarked',
    `Agents of this store have other settings (global parameter ${name}): ${differing}. Give all agents the same, or, to change it for all of them, stop them and run "pulse-agent adopt".`,
  );
}

/** The store of a marker, and those that it replaced. */
function storesOf(marker: unknown): string[] {
  const { data } = MARKER.safeParse(marker);
  return data === undefined ? [] : [...data.formerStoreIds, data.storeId];
}

function foreign(name: string, marker: unknown): AgentError {
  const { data } = MARKER.safeParse(marker);
  const by =
    data === undefined ? 'by something else' : `since ${data.since} by the store ${data.storeId} of agent ${data.id}`;
  return new AgentError(
    'BrokerMarked',
    `The broker is marked ${by} (global parameter ${name}): point STORE_URL to that store, give this installation names of its own, or run "pulse-agent adopt" to take over.`,
  );
}
