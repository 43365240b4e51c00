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
  rotationIntervalSeconds: 60,
  defaultLifetimeSeconds: 180,
  maxLifetimeSeconds: 3600,
  expiryAnnouncementSeconds: 30,
  reconcileIntervalSeconds: 60,
  connectionMaxAgeSeconds: 240,
  surveyIntervalSeconds: 15,
  warnAtMessages: 200,
  deleteAtMessages: 400,
  stopDeadlineSeconds: 10,
  maxNamespacesPerClient: null,
  requestsPerMinutePerClient: null,
  taskclusterClientId: NOTIFIER,
} as const satisfies Partial<FileSettings>;

/** Half of what the clocks of two agents may differ, in ms: the fence is an eighth of the rotation interval. */
export const CLOCK_OFF_MS = (SETTINGS.rotationIntervalSeconds * 1000) / 8 / 2;

/** The longest time after a revocation or deletion for which a credential may open a connection, in ms, with a reserve. */
export const SETTLEMENT_MS = 40_000;
