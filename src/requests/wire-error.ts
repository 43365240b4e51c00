import { WireError } from '../contract/wire-errors.ts';
import { AGENT_ERRORS, AgentError } from '../util/agent-errors.ts';

/** What a client is told of an error: its own faults word for word, the agent's by their meaning alone. */
export function toWireError(error: unknown): WireError {
  if (error instanceof WireError) return error;
  if (error instanceof AgentError) {
    const { wire, meaning } = AGENT_ERRORS[error.code];
    return new WireError(wire, `${meaning} Try again in a few seconds.`, { cause: error });
  }
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')) {
    return new WireError('Unavailable', 'The agent could not finish this in time. Try again in a few seconds.', {
      cause: error,
    });
  }
  return new WireError(
    'InternalServerError',
    "The agent has a fault. Its operators find the cause in its log under this request's correlation id.",
    { cause: error },
  );
}
