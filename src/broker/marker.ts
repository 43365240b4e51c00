import * as z from 'zod';
import type { Clock } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { ManagementCallOptions, Management } from './management/management.ts';

/** The global parameter that marks a broker as that of one store. */
interface BrokerMarker {
  readonly storeId: string;
  /** The id of the agent that wrote the marker. */
  readonly id: string;
  /** When it was written, in ISO 8601. */
  readonly since: string;
}

interface MarkerSettings {
  readonly storeId: string;
  readonly id: string;
  readonly usernamePrefix: string;
  readonly namespacePrefix: string;
  /** Whether to take over a broker that another store has marked, on the operator's command. */
  readonly adopt: boolean;
}

/** The calls that {@link claimBroker} makes. */
type MarkerManagement = Pick<Management, 'getGlobalParameter' | 'putGlobalParameter'>;

const MARKER = z.object({ storeId: z.string(), id: z.string(), since: z.string() });

/** The name of the global parameter. It contains the prefixes, so that two installations can share a broker. */
export function markerName({
  usernamePrefix,
  namespacePrefix,
}: Pick<MarkerSettings, 'usernamePrefix' | 'namespacePrefix'>) {
  return `pulse-agent.${usernamePrefix}${namespacePrefix}`;
}

/**
 * Ensures that the broker is marked as that of this store. With two stores on one broker, each would treat the other's
 * accounts as unknown users and hand out passwords that the other overwrites.
 *
 * @returns `ours` when the marker existed, else `marked` or `adopted`
 * @throws AgentError `BrokerMarked` when another store has marked it; `BrokerUnavailable`, `BrokerRefused`
 */
export async function claimBroker(
  management: MarkerManagement,
  settings: MarkerSettings,
  clock: Clock,
  options?: ManagementCallOptions,
): Promise<'ours' | 'marked' | 'adopted'> {
  const name = markerName(settings);
  const present = await management.getGlobalParameter(name, options);
  if (present !== undefined) {
    if (markedStore(present) === settings.storeId) return 'ours';
    if (!settings.adopt) throw foreign(name, present);
  }
  const marker: BrokerMarker = {
    storeId: settings.storeId,
    id: settings.id,
    since: new Date(clock.nowMs()).toISOString(),
  };
  await management.putGlobalParameter(name, marker, options);
  // The API has no conditional PUT: where two agents found no marker, the second has overwritten the first's.
  const stored = await management.getGlobalParameter(name, options);
  if (markedStore(stored) !== settings.storeId) throw foreign(name, stored);
  return present === undefined ? 'marked' : 'adopted';
}

/**
 * Asserts that the broker is not another store's, without marking it.
 *
 * @throws AgentError `BrokerMarked` when it is; `BrokerUnavailable`, `BrokerRefused`
 */
export async function assertNotForeign(
  management: Pick<MarkerManagement, 'getGlobalParameter'>,
  settings: Pick<MarkerSettings, 'usernamePrefix' | 'namespacePrefix' | 'storeId'>,
  options?: ManagementCallOptions,
): Promise<void> {
  const name = markerName(settings);
  const present = await management.getGlobalParameter(name, options);
  if (present !== undefined && markedStore(present) !== settings.storeId) throw foreign(name, present);
}

/** The storeId of a marker; undefined when no agent wrote it. */
export function markedStore(marker: unknown): string | undefined {
  return MARKER.safeParse(marker).data?.storeId;
}

function foreign(name: string, marker: unknown): AgentError {
  const { data } = MARKER.safeParse(marker);
  const by =
    data === undefined ? 'by something else' : `since ${data.since} by the store ${data.storeId} of agent ${data.id}`;
  return new AgentError(
    'BrokerMarked',
    `The broker is marked ${by} (global parameter ${name}): point STORE_URL to that store, or run "pulse-agent adopt" to take over.`,
  );
}
