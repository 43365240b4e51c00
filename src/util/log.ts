import { pino } from 'pino';

/** What every part of the agent logs with. */
export type Log = Pick<pino.Logger, 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'child' | 'level'>;

/**
 * The agent's log: one JSON object a line on standard output.
 *
 * Secrets are kept out where they arise (see `Secret` and the errors' wrappers). The redaction here is the second line,
 * for an object that should not have been logged.
 */
export function createLog(
  config: { readonly logLevel: string; readonly id: string },
  destination?: pino.DestinationStream,
): Log {
  const options: pino.LoggerOptions = {
    level: config.logLevel,
    base: { agent: config.id, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
      censor: '[secret]',
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

const SECRET_FIELDS = [
  'password',
  'password_hash',
  'passwordHash',
  'authorization',
  'Authorization',
  'connectionString',
  'accessToken',
];
