import type { FileSettings } from '../src/config/settings.ts';

/** The names of the installation. */
export const ID = 'pulse-soak';
export const REQUEST_VHOST = 'pulse-soak-requests';
export const PREFIX = 'taskcluster-';
export const AGENT_USER = 'soak-agent';
export const AUDIENCE = 'soak.test';

/** The Taskcluster client that holds all namespaces, and the operator who revokes and releases. */
export const HOLDER = 'soak/holder';
export const OPERATOR = 'soak/operator';
/** The agent's own one, which sends mail. */
export const NOTIFIER = 'soak/agent';

/** So short that ten minutes see many lives of a namespace. */
export const SETTINGS = {
  id: ID,
  requestVhost: REQUEST_VHOST,
  audience: AUDIENCE,
  namespacePrefix: PREFIX,
  maxLifetimeSeconds: 3600,
  expiryAnnouncementSeconds: 30,
  reconcileIntervalSeconds: 60,
  connectionMaxAgeSeconds: 240,
  surveyIntervalSeconds: 15,
  warnAtMessages: 200,
  // More than twice what a queue that shall only be warned of gets: a message whose confirmation was lost is sent again.
  deleteAtMessages: 600,
  stopDeadlineSeconds: 10,
  // FerretDB goes on with what is not waited for any more: with more at a time, all of it would come too late.
  requestPrefetch: 8,
  maxNamespacesPerClient: null,
  requestsPerMinutePerClient: null,
  taskclusterClientId: NOTIFIER,
} as const satisfies Partial<FileSettings>;

/**
 * Rotations a second, at most. Each is also a claim, and FerretDB, the stand-in for MongoDB, reads a whole collection for a
 * compare-and-set: among a thousand documents it makes about 50 a second.
 */
const ROTATIONS_PER_SECOND = 2;

/** The settings of a run with this many namespaces. */
export function settingsFor(namespaces: number): Partial<FileSettings> {
  const rotationIntervalSeconds = rotationSeconds(namespaces);
  return { ...SETTINGS, rotationIntervalSeconds, defaultLifetimeSeconds: 3 * rotationIntervalSeconds };
}

/**
 * How far the clock of an agent may be off, in ms. The clocks of two agents may differ by the fence, which is an eighth of the
 * rotation interval, or 10 s.
 */
export function clockOffMs(namespaces: number): number {
  return Math.min(10_000, (rotationSeconds(namespaces) * 1000) / 8) / 2;
}

function rotationSeconds(namespaces: number): number {
  return Math.max(60, Math.ceil(namespaces / ROTATIONS_PER_SECOND));
}

/** The longest time after a revocation or deletion for which a credential may open a connection, in ms, with a reserve. */
export const SETTLEMENT_MS = 40_000;
