import type { MongoClientOptions } from 'mongodb';
import { AgentError } from '../../util/agent-errors.ts';

/** The database that is used when the URL names none. */
export const DEFAULT_DATABASE = 'pulse-agent';

/** What the agent's correctness or its time limits rest on: a URL has no say in it. In lower case. */
const FORCED = new Set([
  'connecttimeoutms',
  'fsync',
  'j',
  'journal',
  'maxstalenessseconds',
  'readconcernlevel',
  'readpreference',
  'readpreferencetags',
  'retryreads',
  'retrywrites',
  'serverselectiontimeoutms',
  'sockettimeoutms',
  'timeoutms',
  'w',
  'waitqueuetimeoutms',
  'wtimeout',
  'wtimeoutms',
]);
const SECRET_OPTION = /password|authmechanismproperties/i;

/** A MongoDB URL taken apart as far as the adapter needs it. */
export interface MongoTarget {
  /** The URL without the options that are forced. The driver would mix them with those that it is given. */
  readonly url: string;
  readonly database: string;
  /** Parts of the URL that must not print. */
  readonly secrets: readonly string[];
}

/** @throws AgentError `ConfigurationFault` when it is no MongoDB URL; its message does not show the URL */
export function parseMongoUrl(url: string): MongoTarget {
  const match = /^(mongodb(?:\+srv)?:\/\/)(?:([^@/?]*)@)?([^@/?]+)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(url);
  if (match === null) throw malformed();
  const [, scheme = '', credentials, hosts = '', path = '', query = ''] = match;
  const options = query.split('&').filter((option) => option !== '');
  const kept = options.filter((option) => !FORCED.has(nameOf(option).toLowerCase()));
  return {
    url: `${scheme}${credentials === undefined ? '' : `${credentials}@`}${hosts}/${path}${kept.length > 0 ? `?${kept.join('&')}` : ''}`,
    database: path === '' ? DEFAULT_DATABASE : decoded(path),
    secrets: [
      ...secretsOf(credentials),
      ...options.filter((option) => SECRET_OPTION.test(nameOf(option))).flatMap((option) => bothForms(valueOf(option))),
    ],
  };
}

/**
 * The settings of the driver that are the same wherever the store is: reads see what a majority has, writes are
 * answered once a majority has them, and no single step takes longer than `timeoutMs`. The driver's `timeoutMS`, which
 * would limit a whole operation, has no effect since its version 7: the adapter limits that itself.
 */
export function forcedOptions(timeoutMs: number): MongoClientOptions {
  return {
    readPreference: 'primary',
    readConcern: { level: 'majority' },
    writeConcern: { w: 'majority', journal: true, wtimeoutMS: timeoutMs },
    retryWrites: true,
    retryReads: true,
    serverSelectionTimeoutMS: timeoutMs,
    connectTimeoutMS: timeoutMs,
    socketTimeoutMS: timeoutMs,
    waitQueueTimeoutMS: timeoutMs,
  };
}

/** `text` without anything of the URL that is secret. */
export function redact(text: string, secrets: readonly string[]): string {
  const withoutLogin = text.replaceAll(/(mongodb(?:\+srv)?:\/\/)[^@\s]*@/g, '$1');
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, '[secret]'), withoutLogin);
}

/** What to say of a URL that the adapter or the driver cannot read. It is not shown: it may hold a password. */
export function malformed(): AgentError {
  return new AgentError(
    'ConfigurationFault',
    'STORE_URL is no MongoDB URL that the driver understands: write mongodb://user:password@host:27017/database and percent-encode special characters.',
  );
}

function secretsOf(credentials: string | undefined): string[] {
  if (credentials === undefined || !credentials.includes(':')) return [];
  return [...bothForms(credentials), ...bothForms(credentials.slice(credentials.indexOf(':') + 1))];
}

function bothForms(value: string): string[] {
  // An empty one would be found between any two characters.
  return [...new Set([value, decoded(value)])].filter((form) => form !== '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed();
  }
}

function nameOf(option: string): string {
  return option.split('=', 1)[0] ?? '';
}

function valueOf(option: string): string {
  return option.slice(nameOf(option).length + 1);
}
