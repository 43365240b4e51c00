import type { AgentErrorCode } from '../util/agent-errors.ts';

/** The exit codes, for scripts. After SIGINT it is 130 and after SIGTERM 143, as for any program. */
export const EXIT = {
  /** The command succeeded. */
  ok: 0,
  /** The command failed, or a check did. */
  failed: 1,
  /** The arguments or the configuration are wrong. */
  usage: 2,
  /** Refused: trying again is of no use until something is changed. */
  refused: 3,
  /** Unavailable: the same command may succeed later. */
  unavailable: 4,
  /** It works, and something is missing. */
  limited: 5,
} as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code of each failure of the agent's own. */
export const EXIT_OF_AGENT_ERROR: Readonly<Record<AgentErrorCode, ExitCode>> = {
  ConfigurationFault: EXIT.usage,
  StoreUnavailable: EXIT.unavailable,
  StoreInUse: EXIT.unavailable,
  StoreRefused: EXIT.refused,
  BrokerUnavailable: EXIT.unavailable,
  BrokerSplit: EXIT.unavailable,
  BrokerRefused: EXIT.refused,
  BrokerMarked: EXIT.refused,
  AuthUnavailable: EXIT.unavailable,
  WindowClosed: EXIT.unavailable,
  SecretMissing: EXIT.refused,
  Contended: EXIT.unavailable,
  Stopping: EXIT.unavailable,
};
