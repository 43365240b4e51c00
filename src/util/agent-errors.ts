import type { WireErrorCode } from '../contract/wire-errors.ts';

/**
 * The one table of the agent's own failures: what each means, and what a client whose request meets it is told.
 * The sentence for the operator is the message of the error; it says what to do next.
 */
export const AGENT_ERRORS = {
  ConfigurationFault: { wire: 'InternalServerError', meaning: 'A setting is wrong, unknown or missing.' },
  StoreUnavailable: { wire: 'Unavailable', meaning: 'The store does not answer, or not in time.' },
  StoreInUse: { wire: 'Unavailable', meaning: 'Another agent holds the embedded store.' },
  BrokerUnavailable: { wire: 'Unavailable', meaning: 'RabbitMQ or its management API does not answer in time.' },
  BrokerRefused: { wire: 'Unavailable', meaning: 'The management API refuses a call of the agent.' },
  BrokerMarked: { wire: 'Unavailable', meaning: 'The broker belongs to another store.' },
  AuthUnavailable: { wire: 'Unavailable', meaning: 'The Taskcluster auth service does not answer in time.' },
  WindowClosed: { wire: 'Unavailable', meaning: 'A write to the broker would have been sent too late to be safe.' },
  SecretMissing: { wire: 'Unavailable', meaning: 'The agent lacks the secret that a password is derived from.' },
  Contended: { wire: 'Unavailable', meaning: 'Others changed the same record at every try.' },
  Stopping: { wire: 'Unavailable', meaning: 'The agent is stopping.' },
} as const satisfies Record<string, { wire: WireErrorCode; meaning: string }>;

/** What shows where in the sources an error comes from that no code stands for; part of a sentence. */
export const TO_SEE_WHERE =
  'run it again with NODE_DEBUG=pulse-agent and NODE_OPTIONS=--enable-source-maps to see where';

/** A code of {@link AGENT_ERRORS}. */
export type AgentErrorCode = keyof typeof AGENT_ERRORS;

/** A failure of the agent or of something it depends on. Its message and cause hold no secret. */
export class AgentError extends Error {
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.code = code;
  }
}

/** Whether `error` is an {@link AgentError} with this code. */
export function isAgentError(error: unknown, code: AgentErrorCode): error is AgentError {
  return error instanceof AgentError && error.code === code;
}
