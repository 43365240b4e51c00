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
}

/** What two installations on one broker must not share. */
interface MarkedNames {
  readonly id: string;
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
});

/**
 * The names of the global parameters: one for the prefixes, which name accounts and namespaces, one for the id, which
 * names the claimant and the queue of broker events, and one for the vhost of the requests. Two installations can share
 * a broker that differ in all three.
 */
export function markerNames({ id, requestVhost, usernamePrefix, namespacePrefix }: MarkedNames): string[] {
  return [
    `pulse-agent.${usernamePrefix}${namespacePrefix}`,
    `pulse-agent-id.${id}`,
    `pulse-agent-vhost.${requestVhost}`,
  ];
}

/**
 * Ensures that the broker is marked as that of this store. With two stores on one broker, each would treat the other's
 * accounts as unknown users and hand out passwords that the other overwrites; with one id, each would change the password
 * of the claimant and take half of the requests.
 *
 * @returns `ours` when all markers existed, else `marked` or `adopted`
 * @throws AgentError `BrokerMarked` when another store has marked it; `BrokerUnavailable`, `BrokerRefused`
 */
export async function claimBroker(
  management: MarkerManagement,
  settings: MarkerSettings,
  clock: Clock,
  options?: ManagementCallOptions,
): Promise<'ours' | 'marked' | 'adopted'> {
  const { storeId, id, adopt } = settings;
  const markers = await readMarkers(management, settings, options);
  if (!adopt) assertOurs(markers, storeId);
  const missing = markers.filter(({ value }) => markedStore(value) !== storeId);
  if (missing.length === 0) return 'ours';
  for (const { name, value } of missing) {
    const formerStoreIds = storesOf(value).filter((store) => store !== storeId);
    const marker: BrokerMarker = { storeId, id, since: new Date(clock.nowMs()).toISOString(), formerStoreIds };
    await management.putGlobalParameter(name, marker, options);
  }
  // The API has no conditional PUT: where two agents found no marker, the second has overwritten the first's.
  assertOurs(await readMarkers(management, settings, options), storeId);
  return missing.every(({ value }) => value === undefined) ? 'marked' : 'adopted';
}

/**
 * Asserts that the broker is not another store's, without marking it.
 *
 * @throws AgentError `BrokerMarked` when it is; `BrokerUnavailable`, `BrokerRefused`
 */
export async function assertNotForeign(
  management: Pick<MarkerManagement, 'getGlobalParameter'>,
  settings: MarkedNames & Pick<MarkerSettings, 'storeId'>,
  options?: ManagementCallOptions,
): Promise<void> {
  assertOurs(await readMarkers(management, settings, options), settings.storeId);
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

function assertOurs(markers: readonly ReadMarker[], storeId: string): void {
  for (const { name, value } of markers) {
    if (value !== undefined && markedStore(value) !== storeId) throw foreign(name, value);
  }
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
