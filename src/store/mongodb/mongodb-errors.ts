import { MongoBulkWriteError, MongoError, MongoServerSelectionError } from 'mongodb';
import { AgentError } from '../../util/agent-errors.ts';
import { shorten } from '../../util/shorten.ts';
import { type MongoTarget, redact } from '../../config/mongodb-url.ts';

const DUPLICATE_KEY = 11000;
/** Codes for something that this server does not have: CommandNotFound, CommandNotSupported, and those of DocumentDB. */
const NOT_SUPPORTED = new Set<unknown>([59, 115, 238, 301, 303, 304]);
const MAX_REASON_LENGTH = 200;

/** Whether `error` means that a document with this `_id` exists. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoError && error.code === DUPLICATE_KEY;
}

/** Whether the only failures of an insertion are documents that exist already. */
export function areDuplicates(error: unknown): boolean {
  if (!(error instanceof MongoBulkWriteError)) return isDuplicateKey(error);
  const failures = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
  const isAnswered = error.result.getWriteConcernError() === undefined;
  return isAnswered && failures.length > 0 && failures.every(({ code }) => code === DUPLICATE_KEY);
}

/**
 * `StoreUnavailable` for a failure of the driver, with the servers and the reason. Its cause has only name, code and redacted
 * message: the driver's errors carry the topology and the command.
 */
export function mongoUnavailable(
  error: unknown,
  { servers, secrets }: Pick<MongoTarget, 'servers' | 'secrets'>,
): AgentError {
  const name = error instanceof Error ? error.name : 'Error';
  const code = error instanceof MongoError ? error.code : undefined;
  const reason = redact(reasonOf(error), secrets);
  const cause = new Error(reason);
  cause.name = name;
  const shown = shorten(reason, MAX_REASON_LENGTH);
  if (NOT_SUPPORTED.has(code) || /retryable writes|transaction numbers/i.test(reason)) {
    return new AgentError(
      'StoreUnavailable',
      `The server of STORE_URL lacks what agents need of MongoDB (${shown}). Use MongoDB 4.4 or later as a replica set: Amazon DocumentDB and others like it have no retryable writes.`,
      { cause },
    );
  }
  const where = `MongoDB at ${shorten(servers.join(', '), MAX_REASON_LENGTH)}`;
  // The driver keeps no code of TLS.
  if (/certificate/i.test(reason)) {
    return new AgentError(
      'StoreUnavailable',
      `The certificate of ${where} is not trusted (${shown}). Set tlsCAFile=<file> in STORE_URL to the CA that signed it, and use a host name of the certificate.`,
      { cause },
    );
  }
  const kind = error instanceof MongoError ? `${name}${code === undefined ? '' : ` ${code}`}: ` : '';
  return new AgentError(
    'StoreUnavailable',
    `${where} does not answer as it should (${kind}${shown}). Check that it runs, that it has a primary, and that STORE_URL is right.`,
    { cause },
  );
}

/** The message on one line. Where no server could be chosen, it says nothing of a reason, and each server has its own. */
function reasonOf(error: unknown): string {
  const text = oneLine(error instanceof Error ? error.message : String(error));
  if (!(error instanceof MongoServerSelectionError) || error.reason === undefined) return text;
  const ofServers = [...error.reason.servers.values()].map(
    ({ address, type, error: fault }) => `${address}: ${fault === null ? type : oneLine(fault.message)}`,
  );
  return [text, ...ofServers].join('; ');
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '');
}
