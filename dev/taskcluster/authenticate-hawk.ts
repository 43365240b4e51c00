import { server, utils } from 'hawk';
import * as z from 'zod';
import { ApiError } from './api-error.ts';
import { CLIENT_ID_PATTERN, type DevClient } from './clients-file.ts';
import { issuerOf, limitByExt, parseExt, type Rights } from './ext.ts';
import type { ExpandScopes } from './roles.ts';

const METHODS = [
  'get',
  'post',
  'put',
  'head',
  'delete',
  'options',
  'trace',
  'copy',
  'lock',
  'mkcol',
  'move',
  'purge',
  'propfind',
  'proppatch',
  'unlock',
  'report',
  'mkactivity',
  'checkout',
  'merge',
  'm-search',
  'notify',
  'subscribe',
  'unsubscribe',
  'patch',
  'search',
  'connect',
] as const;

/** What the auth service accepts; anything else is an InputValidationError. */
export const hawkRequestSchema = z.strictObject({
  method: z.enum(METHODS),
  resource: z.string(),
  host: z.hostname(),
  port: z.int().min(0).max(65535),
  authorization: z.string().optional(),
  sourceIp: z.union([z.ipv4(), z.ipv6()]).optional(),
});

/** The signed request. It is never sent; its parts are inputs of the MAC. */
export type HawkRequest = z.output<typeof hawkRequestSchema>;

/** The three kinds of answers. `expires` is ISO 8601. */
export type HawkReply =
  | { status: 'auth-success'; scheme: 'hawk'; clientId: string; scopes: string[]; expires: string; hash?: string }
  | { status: 'auth-failed'; message: string }
  | { status: 'no-auth'; scheme: 'none'; scopes: string[]; expires: string };

/** The clients, and the expansion of their roles. */
export interface HawkDirectory {
  client(clientId: string): DevClient | undefined;
  readonly expandScopes: ExpandScopes;
}

const hawkErrorSchema = z.object({
  isBoom: z.literal(true),
  isServer: z.literal(false),
  output: z.object({ payload: z.object({ error: z.string(), message: z.string().optional() }) }),
});

/** The clock difference that the service allows in either direction; hawk's default is 60. */
const SKEW_SECONDS = 15 * 60;
const NO_AUTH_LIFETIME_MS = 15 * 60 * 1000;

/**
 * The auth service's answer to this request at this time. Like the service, it checks neither nonces nor the payload hash;
 * that is up to its callers.
 *
 * Signatures in the URL (bewit) are not supported: they are for GET only.
 *
 * @throws ApiError InternalServerError for a signer whose clientId does not fit the service's own schema of the answer
 */
export async function authenticateHawk(
  request: HawkRequest,
  directory: HawkDirectory,
  nowMs = Date.now(),
): Promise<HawkReply> {
  const { authorization } = request;
  if (!authorization) {
    const expires = new Date(nowMs + NO_AUTH_LIFETIME_MS).toISOString();
    return { status: 'no-auth', scheme: 'none', scopes: directory.expandScopes(['assume:anonymous']), expires };
  }
  const answer = await authenticateSigned(request, authorization, directory, nowMs);
  if (answer.status === 'auth-success' && !CLIENT_ID_PATTERN.test(answer.clientId)) {
    throw new ApiError('InternalServerError', 'Internal Server Error');
  }
  return answer;
}

async function authenticateSigned(
  request: HawkRequest,
  authorization: string,
  directory: HawkDirectory,
  nowMs: number,
): Promise<HawkReply> {
  let found: { clientId: string; rights: Rights } | undefined;
  const lookUp = (clientId: string): { key: string; algorithm: 'sha256'; user: string } => {
    const rights = rightsOf(clientId, utils.parseAuthorizationHeader(authorization)['ext'], directory, nowMs);
    found = { clientId, rights };
    return { key: rights.accessToken, algorithm: 'sha256', user: clientId };
  };
  try {
    const signed = {
      method: request.method.toUpperCase(),
      url: request.resource,
      host: request.host,
      port: request.port,
      authorization,
    };
    const { artifacts } = await server.authenticate(signed as never, lookUp, { timestampSkewSec: SKEW_SECONDS });
    if (found === undefined) throw new Error('Hawk looked up no client');
    return {
      status: 'auth-success',
      scheme: 'hawk',
      clientId: found.clientId,
      scopes: directory.expandScopes([...found.rights.scopes, 'assume:anonymous']),
      expires: new Date(found.rights.expiresMs).toISOString(),
      ...(artifacts.hash ? { hash: artifacts.hash } : {}),
    };
  } catch (error) {
    return { status: 'auth-failed', message: failureMessage(error) };
  }
}

function rightsOf(clientId: string, extText: string | undefined, directory: HawkDirectory, nowMs: number): Rights {
  const ext = extText ? parseExt(extText) : undefined;
  const issuer = issuerOf(ext, clientId);
  const client = directory.client(issuer);
  // The service keeps its clients in a plain object, finds the names of that object's prototype, and refuses them later.
  if (client === undefined && issuer in {}) throw new Error('Got non-array client.scopes=undefined (see #3502)');
  if (client === undefined) throw new Error(`Client with clientId '${issuer}' not found`);
  if (client.disabled) throw new Error(`Client with clientId '${issuer}' is disabled`);
  const expiresMs = Date.parse(client.expires);
  if (expiresMs < nowMs) throw new Error(`Client with clientId: '${issuer}' has expired`);
  const rights = { accessToken: client.accessToken, expiresMs, scopes: directory.expandScopes(client.scopes) };
  return ext === undefined ? rights : limitByExt(ext, clientId, issuer, rights, directory.expandScopes, nowMs);
}

/** Hawk wraps every error; its own errors also have the name of the HTTP error. */
function failureMessage(error: unknown): string {
  const { data: boom } = hawkErrorSchema.safeParse(error);
  if (boom === undefined) return error instanceof Error ? error.message : String(error);
  const { payload } = boom.output;
  return payload.message ? `${payload.error}: ${payload.message}` : payload.error;
}
