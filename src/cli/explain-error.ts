import { debuglog } from 'node:util';
import { BrokerRefused, type ClientErrorCode, ClockSkew, PulseAgentError } from '../client/client-errors.ts';
import { WireError } from '../contract/wire-errors.ts';
import { AgentError, HOW_TO_LOCATE } from '../util/agent-errors.ts';
import { CommandRefused, Interrupted, UsageFault } from './define-command.ts';
import { EXIT, EXIT_OF_AGENT_ERROR } from './exit-codes.ts';

/** What is printed about a failure. */
export interface Explanation {
  readonly exitCode: number;
  /** A code of one of the error tables, `UsageFault`, `Interrupted` or `UnexpectedFault`. */
  readonly code: string;
  /** Sentences that say what to do next. */
  readonly sentences: readonly string[];
  readonly retryable: boolean;
  readonly details?: Readonly<Record<string, unknown>>;
}

const debug = debuglog('pulse-agent');

/** Prints an error with its stack, without credentials, if `NODE_DEBUG=pulse-agent` is set. */
export function debugError(error: unknown): void {
  debug('%s', withoutCredentials(stackOf(error)));
}

/** Turns an error that a command threw into sentences and an exit code. The stack is printed by {@link debugError} only. */
export function explainError(error: unknown): Explanation {
  debugError(error);
  if (error instanceof Interrupted) {
    return explain(error.signal === 'SIGINT' ? 130 : 143, 'Interrupted', [error.message]);
  }
  if (error instanceof UsageFault) return explain(EXIT.usage, 'UsageFault', [error.message]);
  if (error instanceof AgentError) {
    const exitCode = EXIT_OF_AGENT_ERROR[error.code];
    return explain(exitCode, error.code, error.message.split('\n'), exitCode === EXIT.unavailable);
  }
  if (error instanceof PulseAgentError || error instanceof WireError) {
    const explanation = explain(exitCodeOf(error), error.code, [withAdvice(error)], error.retryable);
    const { details = {} } = error;
    return Object.keys(details).length === 0 ? explanation : { ...explanation, details };
  }
  const message = withoutCredentials(error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
  return explain(EXIT.failed, 'UnexpectedFault', [
    `Unexpected error (${message.replace(/\.$/, '')}): ${HOW_TO_LOCATE}, and report it.`,
  ]);
}

function explain(exitCode: number, code: string, sentences: readonly string[], retryable = false): Explanation {
  return { exitCode, code, sentences, retryable };
}

/** What to do next, for errors whose message does not say it. */
const ADVICE: Readonly<Partial<Record<ClientErrorCode, string>>> = {
  AuthenticationFailed: "check TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN and the agent's audience",
  InsufficientScopes: 'ask an administrator of Taskcluster for it',
  BrokerRefused: 'check PULSE_AGENT_URL and --id',
};

function withAdvice(error: PulseAgentError | WireError): string {
  const message = error.message.replace(/\.$/, '');
  const advice = saysWhatToDo(error) ? undefined : ADVICE[error.code];
  return `${message}${advice === undefined ? '' : `: ${advice}`}.`;
}

function saysWhatToDo(error: PulseAgentError | WireError): boolean {
  if (error instanceof ClockSkew || error instanceof CommandRefused) return true;
  return error instanceof BrokerRefused && error.details.refused === 'tls';
}

function exitCodeOf({ code, retryable }: PulseAgentError | WireError): number {
  if (code === 'InputError') return EXIT.usage;
  if (code === 'InternalServerError' || code === 'ClientClosed') return EXIT.failed;
  return retryable ? EXIT.unavailable : EXIT.refused;
}

/** Replaces what is between `//` and `@` of a URL. */
function withoutCredentials(text: string): string {
  return text.replaceAll(/\/\/[^\s/@]*@/g, '//…@');
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? error.message;
  return error.cause === undefined ? stack : `${stack}\ncaused by ${stackOf(error.cause)}`;
}
