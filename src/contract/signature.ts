import { hash as digest, randomBytes, timingSafeEqual } from 'node:crypto';
import hawk from 'hawk';
import { WireError } from './wire-errors.ts';
import type { MethodName } from './methods.ts';
import { CLIENT_ID_PATTERN, CLIENT_ID_RULE, CONTRACT_VERSION } from './names.ts';

/** The content type of requests; it is part of the payload hash. */
export const REQUEST_CONTENT_TYPE = 'application/json';

/** The HTTP method of the signed request. That request exists only to be signed: nothing is sent over HTTP. */
export const SIGNED_HTTP_METHOD = 'POST';

/** The port of the signed request. */
export const SIGNED_PORT = 443;

/** Hawk's limit, and so Taskcluster's, in characters. */
export const MAX_AUTHORIZATION_LENGTH = 4096;

/** Taskcluster credentials of a client. */
export interface ClientCredentials {
  readonly clientId: string;
  readonly accessToken: string;
  /** The certificate of temporary credentials: an object, or its JSON as Taskcluster issues it. */
  readonly certificate?: string | object;
  /** Limits this request to some of the client's scopes. */
  readonly authorizedScopes?: readonly string[];
}

/** What to sign, and with which credentials. */
export interface SigningInput {
  readonly method: MethodName;
  /** The exact bytes to send. */
  readonly body: Uint8Array;
  /** The `reply_to` of the request: a queue, or the literal `amq.rabbitmq.reply-to`. */
  readonly replyTo: string;
  readonly correlationId: string;
  /** The agent's audience. */
  readonly audience: string;
  readonly credentials: ClientCredentials;
  /** Seconds since the epoch; the machine's clock when absent. */
  readonly timestampSeconds?: number;
  /** Different for each request; 16 random bytes when absent. */
  readonly nonce?: string;
}

/** The attributes of a well-formed authorization header. The signature is not verified. */
export interface Authorization {
  /** The clientId that the request claims. */
  readonly id: string;
  /** Seconds since the epoch: exactly ten digits. */
  readonly ts: string;
  readonly nonce: string;
  /** The payload hash that was signed. */
  readonly hash: string;
  readonly ext?: string;
  readonly mac: string;
}

/**
 * The signed resource. `encodeURIComponent` encodes its parts: everything except `A-Z a-z 0-9 - _ . ! ~ * ' ( )`.
 *
 * @throws WireError `InputError` if a part holds a lone surrogate, which cannot be encoded.
 * @example
 * signedResource('ping', 'amq.rabbitmq.reply-to', '1'); // '/v1/ping?replyTo=amq.rabbitmq.reply-to&correlationId=1'
 */
export function signedResource(method: MethodName, replyTo: string, correlationId: string): string {
  try {
    const query = `replyTo=${encodeURIComponent(replyTo)}&correlationId=${encodeURIComponent(correlationId)}`;
    return `/${CONTRACT_VERSION}/${method}?${query}`;
  } catch (error) {
    throw new WireError('InputError', 'The reply_to and the correlation_id must be valid Unicode text.', {
      cause: error,
    });
  }
}

const [BEFORE_BODY, AFTER_BODY] = [Buffer.from(`hawk.1.payload\n${REQUEST_CONTENT_TYPE}\n`), Buffer.from('\n')];

/** Hawk's payload hash of the exact bytes of a body, in base64. */
export function payloadHash(body: Uint8Array): string {
  // The hawk package takes text and would hash other bytes if the body is not UTF-8.
  return digest('sha256', Buffer.concat([BEFORE_BODY, body, AFTER_BODY]), 'base64');
}

/** Compares two hashes in constant time. A missing hash equals nothing. */
export function hashesEqual(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  // timingSafeEqual throws for different lengths, and that of a hash is no secret.
  return left.length === right.length && timingSafeEqual(left, right);
}

function sha256(text: string): string {
  return digest('sha256', text, 'base64url');
}

/** The key under which a nonce is stored. JSON keeps different pairs of id and nonce apart. */
export function nonceKey(id: string, nonce: string): string {
  return sha256(JSON.stringify([id, nonce]));
}

/** Distinguishes requests of one signer that have the same nonce. */
export function requestDigest(method: MethodName, hashOfBody: string): string {
  return sha256(JSON.stringify([method, hashOfBody]));
}

/**
 * Signs a request and returns the header `authorization`. The header does not hold the access token.
 *
 * @throws WireError `AuthenticationFailed` if Taskcluster would reject a header made from these credentials.
 */
export function signRequest(input: SigningInput): { authorization: string } {
  const { credentials } = input;
  // Fails before sending if the agent would refuse the header or read it differently, such as a clientId with a quote.
  if (!CLIENT_ID_PATTERN.test(credentials.clientId)) {
    throw new WireError(
      'AuthenticationFailed',
      `The clientId of the credentials must be ${CLIENT_ID_RULE}, as every clientId of Taskcluster.`,
    );
  }
  const ext = extOf(credentials);
  const [pathname = '', query = ''] = signedResource(input.method, input.replyTo, input.correlationId).split('?');
  // Not as text: the URL parser would encode characters that encodeURIComponent leaves as they are.
  const url = { protocol: 'https:', hostname: input.audience, port: SIGNED_PORT, pathname, search: `?${query}` };
  const { header } = hawk.client.header(url as unknown as string, SIGNED_HTTP_METHOD, {
    credentials: { id: credentials.clientId, key: credentials.accessToken, algorithm: 'sha256' },
    timestamp: input.timestampSeconds ?? Math.floor(Date.now() / 1000),
    nonce: input.nonce ?? randomBytes(16).toString('base64url'),
    hash: payloadHash(input.body),
    ...(ext === undefined ? {} : { ext }),
  });
  readAuthorization(header);
  return { authorization: header };
}

function extOf({ certificate, authorizedScopes }: ClientCredentials): string | undefined {
  if (certificate === undefined && authorizedScopes === undefined) return undefined;
  const ext = { ...(certificate === undefined ? {} : { certificate: certificateOf(certificate) }), authorizedScopes };
  return Buffer.from(JSON.stringify(ext)).toString('base64');
}

function certificateOf(certificate: string | object): object {
  if (typeof certificate === 'object') return certificate;
  try {
    const parsed: unknown = JSON.parse(certificate);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // The text may be partly secret, so no error holds it.
  }
  throw new WireError('AuthenticationFailed', 'The certificate of the credentials must be a JSON object.');
}

const ATTRIBUTES = ['id', 'ts', 'nonce', 'hash', 'ext', 'mac'] as const;
const ATTRIBUTE = /([a-z]+)="([\x20\x21\x23-\x5b\x5d-\x7e]+)"/y;
const SEPARATOR = /[ \t]*,[ \t]*/y;
const BASE64_OF_32_BYTES = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const MAX_NONCE_LENGTH = 128;

/**
 * Parses an authorization header. Hawk's own parser accepts more: `ts="abc"` would be a signature that never expires.
 *
 * @throws WireError `AuthenticationFailed` with the reason.
 */
export function readAuthorization(header: unknown): Authorization {
  if (header === undefined || header === null || header === '') throw refused('is missing: sign the request');
  if (typeof header !== 'string') throw refused('must be text');
  if (header.length > MAX_AUTHORIZATION_LENGTH) {
    throw refused(`must have at most ${MAX_AUTHORIZATION_LENGTH} characters: use credentials with fewer scopes`);
  }
  const { id, ts, nonce, hash, ext, mac } = attributesOf(header);
  if (id === undefined || !CLIENT_ID_PATTERN.test(id)) throw refused(`must have an id of ${CLIENT_ID_RULE}`);
  if (ts === undefined || !/^[0-9]{10}$/.test(ts)) throw refused('must have a ts of exactly ten digits');
  if (nonce === undefined || nonce === '' || nonce.length > MAX_NONCE_LENGTH) {
    throw refused(`must have a nonce of 1 to ${MAX_NONCE_LENGTH} characters`);
  }
  if (hash === undefined || !BASE64_OF_32_BYTES.test(hash)) {
    throw refused('must have a hash over the body: the base64 of a SHA-256');
  }
  if (mac === undefined || !BASE64_OF_32_BYTES.test(mac)) throw refused('must have a mac: the base64 of a SHA-256');
  return { id, ts, nonce, hash, ...(ext === undefined ? {} : { ext }), mac };
}

function attributesOf(header: string): Partial<Record<(typeof ATTRIBUTES)[number], string>> {
  const scheme = /^hawk +/i.exec(header);
  if (scheme === null) throw refused('must be of the scheme Hawk');
  const found: Partial<Record<(typeof ATTRIBUTES)[number], string>> = {};
  for (let at = scheme[0].length; ; ) {
    ATTRIBUTE.lastIndex = at;
    const [text, rawName, value] = ATTRIBUTE.exec(header) ?? [];
    if (text === undefined) throw refused('must be attributes of the form name="value", separated by commas');
    const name = ATTRIBUTES.find((known) => known === rawName);
    if (name === undefined) throw refused('has an attribute that is not one of id, ts, nonce, hash, ext and mac');
    if (found[name] !== undefined) throw refused(`has the attribute ${name} twice`);
    found[name] = value ?? '';
    at += text.length;
    if (at === header.length) return found;
    SEPARATOR.lastIndex = at;
    const comma = SEPARATOR.exec(header);
    if (comma === null) throw refused('must be attributes of the form name="value", separated by commas');
    at += comma[0].length;
  }
}

function refused(reason: string): WireError {
  return new WireError('AuthenticationFailed', `The header authorization ${reason}.`);
}
