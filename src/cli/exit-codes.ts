import type { AgentErrorCode } from '../util/agent-errors.ts';

/** What the command line exits with, for scripts. After SIGINT it is 130, after SIGTERM 143, as of any program. */
export const EXIT = {
  /** It was done. */
  ok: 0,
  /** It failed, or what was checked is not well. */
  failed: 1,
  /** It was called or configured wrongly. */
  usage: 2,
  /** The answer is no, and stays so until somebody changes something. */
  refused: 3,
  /** Not now: the same may work later. */
  unavailable: 4,
} as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code of each failure of the agent's own. */
export const EXIT_OF_AGENT_ERROR: Readonly<Record<AgentErrorCode, ExitCode>> = {
  ConfigurationFault: EXIT.usage,
  StoreUnavailable: EXIT.unavailable,
  StoreInUse: EXIT.unavailable,
  BrokerUnavailable: EXIT.unavailable,
  BrokerRefused: EXIT.refused,
  BrokerMarked: EXIT.refused,
  AuthUnavailable: EXIT.unavailable,
  WindowClosed: EXIT.unavailable,
  SecretMissing: EXIT.refused,
  Contended: EXIT.unavailable,
  Stopping: EXIT.unavailable,
};
