import { InvalidUrl } from '../contract/url.ts';
import { AgentError } from '../util/agent-errors.ts';

/** The database that is used when the URL names none. */
export const DEFAULT_DATABASE = 'pulse-agent';

/** In lower case: options that the correctness of the agent or its time limits depend on. Those of a URL are ignored. */
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
const VALID_FORM =
  'must be a valid MongoDB URL: write mongodb://user:password@host:27017/database and percent-encode special characters';
const SECRET_OPTION = /password|authmechanismproperties/i;

/** The parts of a MongoDB URL that the adapter needs. */
export interface MongoTarget {
  /** The URL without the forced options: the driver would merge them with those that it is given. */
  readonly url: string;
  readonly database: string;
  /** Parts of the URL that must not print. */
  readonly secrets: readonly string[];
  /** Hosts with the ports that the URL names. */
  readonly servers: readonly string[];
  /** Without ports, and without unix sockets, which are on this machine. */
  readonly hosts: readonly string[];
  /** TLS is on by default for mongodb+srv and off for mongodb. */
  readonly isTls: boolean;
}

/** @throws AgentError `ConfigurationFault` when it is not a MongoDB URL; its message does not show the URL */
export function parseMongoUrl(url: string): MongoTarget {
  try {
    return readMongoUrl(url);
  } catch (error) {
    throw error instanceof InvalidUrl ? invalidMongoUrl() : error;
  }
}

/** @throws InvalidUrl */
export function readMongoUrl(url: string): MongoTarget {
  const match = /^(mongodb(?:\+srv)?:\/\/)(?:([^@/?]*)@)?([^@/?]+)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(url);
  if (match === null) throw new InvalidUrl(VALID_FORM);
  const [, scheme = '', credentials, hosts = '', path = '', query = ''] = match;
  const parameters = new URLSearchParams(query);
  const tls = parameters.get('tls') ?? parameters.get('ssl');
  const options = query.split('&').filter((option) => option !== '');
  const kept = options.filter((option) => !FORCED.has(nameOf(option).toLowerCase()));
  return {
    url: `${scheme}${credentials === undefined ? '' : `${credentials}@`}${hosts}/${path}${kept.length > 0 ? `?${kept.join('&')}` : ''}`,
    database: path === '' ? DEFAULT_DATABASE : decoded(path),
    secrets: [
      ...secretsOf(credentials),
      ...options.filter((option) => SECRET_OPTION.test(nameOf(option))).flatMap((option) => bothForms(valueOf(option))),
    ],
    servers: hosts.split(',').filter((server) => server !== ''),
    hosts: hosts
      .split(',')
      .map((host) => host.replace(/:\d+$/, ''))
      .filter((host) => host !== '' && !/%2f/i.test(host)),
    isTls: tls === null ? scheme === 'mongodb+srv://' : tls === 'true',
  };
}

/** `text` without anything of the URL that is secret. */
export function redact(text: string, secrets: readonly string[]): string {
  const withoutLogin = text.replaceAll(/(mongodb(?:\+srv)?:\/\/)[^@\s]*@/g, '$1');
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, '[secret]'), withoutLogin);
}

/** The error for a URL that the adapter or the driver cannot read. It does not show the URL, which may hold a password. */
export function invalidMongoUrl(): AgentError {
  return new AgentError('ConfigurationFault', `STORE_URL ${VALID_FORM}.`);
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
    throw new InvalidUrl(VALID_FORM);
  }
}

function nameOf(option: string): string {
  return option.split('=', 1)[0] ?? '';
}

function valueOf(option: string): string {
  return option.slice(nameOf(option).length + 1);
}
