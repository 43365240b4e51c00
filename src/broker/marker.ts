import * as z from 'zod';
import type { Clock } from '../util/clock.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { ManagementCallOptions, Management } from './management/management.ts';

/** Whose broker it is. */
export interface BrokerMarker {
  readonly storeId: string;
  /** The id of the agent that wrote it. */
  readonly id: string;
  /** When, in ISO 8601. */
  readonly since: string;
}

/** What {@link claimBroker} needs. */
export interface MarkerSettings {
  readonly storeId: string;
  readonly id: string;
  readonly usernamePrefix: string;
  readonly namespacePrefix: string;
  /** Take over a broker that another store has marked: an operator said so. */
  readonly adopt: boolean;
}

/** The calls that {@link claimBroker} makes. */
export type MarkerManagement = Pick<Management, 'getGlobalParameter' | 'putGlobalParameter'>;

const MARK = z.object({ storeId: z.string(), id: z.string(), since: z.string() });

/** The name of the broker's global parameter: two installations with prefixes of their own share a broker in peace. */
export function markerName({
  usernamePrefix,
  namespacePrefix,
}: Pick<MarkerSettings, 'usernamePrefix' | 'namespacePrefix'>) {
  return `pulse-agent.${usernamePrefix}${namespacePrefix}`;
}

/**
 * Marks the broker as that of this store, or finds that it is. With two stores on one broker each would take the
 * other's accounts for strangers and hand out passwords that the other overwrites.
 *
 * @returns `ours` when the mark was there, else `marked` or `adopted`.
 * @throws AgentError `BrokerMarked` when another store has marked it; `BrokerUnavailable`, `BrokerRefused`.
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
  const mark: BrokerMarker = {
    storeId: settings.storeId,
    id: settings.id,
    since: new Date(clock.nowMs()).toISOString(),
  };
  await management.putGlobalParameter(name, mark, options);
  // The API has no conditional PUT: of two that found no mark, the second has overwritten the first's.
  const kept = await management.getGlobalParameter(name, options);
  if (markedStore(kept) !== settings.storeId) throw foreign(name, kept);
  return present === undefined ? 'marked' : 'adopted';
}

/**
 * Makes sure, without marking anything, that the broker is not another store's.
 *
 * @throws AgentError `BrokerMarked` when it is; `BrokerUnavailable`, `BrokerRefused`.
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

/** The id of the store that a mark names; undefined when it is none that an agent writes. */
export function markedStore(mark: unknown): string | undefined {
  return MARK.safeParse(mark).data?.storeId;
}

function foreign(name: string, mark: unknown): AgentError {
  const { data } = MARK.safeParse(mark);
  const whose =
    data === undefined ? 'by something else' : `since ${data.since} by the store ${data.storeId} of agent ${data.id}`;
  return new AgentError(
    'BrokerMarked',
    `The broker is marked ${whose} (global parameter ${name}): point STORE_URL to that store, or run "pulse-agent adopt" to let this one take over.`,
  );
}
