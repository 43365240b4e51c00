import type { WireErrorCode } from '../contract/wire-errors.ts';

/** A row of {@link AGENT_ERRORS}. */
export interface AgentErrorEntry {
  readonly wire: WireErrorCode;
  readonly meaning: string;
  readonly remedy: string;
  /** When the client tries again, if not in a few seconds: the end of a sentence. */
  readonly tryAgain?: string;
}

/**
 * The one table of the agent's own failures: the error that a client gets, the meaning, and what an operator can do.
 * `docs/monitoring.md` has it too. The message of an error is more specific, and says what to do next.
 */
export const AGENT_ERRORS = {
  ConfigurationFault: {
    wire: 'InternalServerError',
    meaning: 'A setting is wrong, unknown or missing.',
    remedy: 'Correct the settings that the sentences name.',
  },
  StoreUnavailable: {
    wire: 'Unavailable',
    meaning: 'The store does not answer, or not in time.',
    remedy:
      'LMDB: the folder must be writable and its disk must have room. MongoDB: check that it runs and has a primary, and check `STORE_URL`; servers without retryable writes cannot be used.',
  },
  StoreInUse: {
    wire: 'Unavailable',
    meaning: 'An agent holds the embedded store, or runs where none may.',
    remedy:
      'The message has the process id, or says how to find the agent. Stop it; for a second agent use another folder, or MongoDB.',
  },
  StoreRefused: {
    wire: 'Unavailable',
    meaning:
      'The store, or the file of an export, must not be used as it is: an import did not end, the store was retired or is not empty, or the file is damaged.',
    remedy: 'The message says which, and what to do.',
  },
  BrokerUnavailable: {
    wire: 'Unavailable',
    meaning: 'RabbitMQ or its management API does not answer in time, or a limit of connections or queues is reached.',
    remedy:
      'The message has the reason of RabbitMQ. Check RabbitMQ and the limits of the vhosts. If an exchange or a queue with a name of the agent has another type, delete it.',
  },
  BrokerRefused: {
    wire: 'Unavailable',
    meaning: 'RabbitMQ or its management API refuses the agent, or another server answers in its place.',
    remedy:
      'The message has the reason. Check the credentials, the tag `administrator`, that the vhost exists, feature flags, the CA and the host name of certificates, client certificates that RabbitMQ wants, and redirects and logins in front of the API.',
  },
  BrokerMarked: {
    wire: 'Unavailable',
    meaning: 'The broker belongs to another store, or to agents of this store with another `id`, vhost or prefix.',
    remedy:
      'Point `STORE_URL` to the store of this broker, give all agents of the store the same names, or run `pulse-agent adopt`.',
  },
  BrokerSplit: {
    wire: 'Unavailable',
    meaning: 'The nodes of RabbitMQ are split, so that a change would reach some of them only.',
    remedy: 'The message names the nodes. Heal the cluster as recover.md says; the agent then goes on by itself.',
  },
  AuthUnavailable: {
    wire: 'Unavailable',
    meaning: 'The Taskcluster auth service does not answer in time.',
    remedy: 'Check the auth service and `TASKCLUSTER_ROOT_URL`.',
  },
  WindowClosed: {
    wire: 'Unavailable',
    meaning: 'A write to the broker would have been sent too late to be safe.',
    remedy: 'Check the load of the management API. The client tries again.',
  },
  SecretMissing: {
    wire: 'Unavailable',
    meaning:
      'This agent lacks the secret that a password is derived from. Another agent may have it; otherwise agents rotate the namespace to another secret within two rotation intervals.',
    tryAgain: 'then',
    remedy:
      'Add the secret to `PULSE_AGENT_PREVIOUS_SECRETS`, or, if no copy of it is left, revoke the namespace: see recover.md.',
  },
  Contended: {
    wire: 'Unavailable',
    meaning: 'Too many concurrent updates of one record: every one of 100 attempts conflicted.',
    remedy: 'Find the client that claims this namespace in a loop.',
  },
  Stopping: {
    wire: 'Unavailable',
    meaning: 'The agent is stopping.',
    remedy: 'Nothing: the broker gives the request to another agent.',
  },
} as const satisfies Record<string, AgentErrorEntry>;

/** How an operator finds the source line of an unexpected error; part of a sentence. */
export const HOW_TO_LOCATE =
  'run it again with NODE_DEBUG=pulse-agent and NODE_OPTIONS=--enable-source-maps for a stack trace';

/** A code of {@link AGENT_ERRORS}. */
export type AgentErrorCode = keyof typeof AGENT_ERRORS;

/** A failure of the agent or of something it depends on. Its message, cause and details hold no secret. */
export class AgentError extends Error {
  readonly code: AgentErrorCode;
  /** For the client, too. */
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(
    code: AgentErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.code = code;
    this.details = options.details;
  }
}

/** Whether `error` is an {@link AgentError} with this code. */
export function isAgentError(error: unknown, code: AgentErrorCode): error is AgentError {
  return error instanceof AgentError && error.code === code;
}

/** The error itself, or an Error with the text of what was thrown. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
