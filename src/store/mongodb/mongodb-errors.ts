import { MongoError } from 'mongodb';
import { AgentError } from '../../util/agent-errors.ts';
import { redact } from '../../config/mongodb-url.ts';

const DUPLICATE_KEY = 11000;

/** Whether `error` means that a document with this `_id` exists. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoError && error.code === DUPLICATE_KEY;
}

/**
 * `StoreUnavailable` for a failure of the driver. Its cause has only name, code and redacted message: the driver's own errors
 * carry the topology and the command.
 */
export function mongoUnavailable(error: unknown, secrets: readonly string[]): AgentError {
  const name = error instanceof Error ? error.name : 'Error';
  const code = error instanceof MongoError ? error.code : undefined;
  const cause = new Error(redact(error instanceof Error ? error.message : String(error), secrets));
  cause.name = name;
  return new AgentError(
    'StoreUnavailable',
    `MongoDB does not answer as it should (${name}${code === undefined ? '' : ` ${code}`}): check that it runs, that it has a primary, and that STORE_URL is right.`,
    { cause },
  );
}
