import { MongoError } from 'mongodb';
import { AgentError } from '../../util/agent-errors.ts';
import { shorten } from '../../util/shorten.ts';
import { redact } from '../../config/mongodb-url.ts';

const DUPLICATE_KEY = 11000;
/** Codes for something that this server does not have: CommandNotFound, CommandNotSupported, and those of DocumentDB. */
const NOT_SUPPORTED = new Set<unknown>([59, 115, 238, 301, 303, 304]);
const MAX_REASON_LENGTH = 200;

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
  const reason = redact(error instanceof Error ? error.message : String(error), secrets);
  const cause = new Error(reason);
  cause.name = name;
  if (NOT_SUPPORTED.has(code) || /retryable writes|transaction numbers/i.test(reason)) {
    return new AgentError(
      'StoreUnavailable',
      `The server of STORE_URL lacks what agents need of MongoDB (${shorten(reason, MAX_REASON_LENGTH)}). Use MongoDB 4.4 or later as a replica set: Amazon DocumentDB and others like it have no retryable writes.`,
      { cause },
    );
  }
  return new AgentError(
    'StoreUnavailable',
    `MongoDB does not answer as it should (${name}${code === undefined ? '' : ` ${code}`}): check that it runs, that it has a primary, and that STORE_URL is right.`,
    { cause },
  );
}
