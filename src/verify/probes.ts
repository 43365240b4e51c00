import taskcluster from 'taskcluster-client';
import * as z from 'zod';
import type { Config } from '../config/config.ts';
import { signedResource, signRequest } from '../contract/signature.ts';
import { tlsFaultIn } from '../contract/tls-faults.ts';
import { readAuthReply, untrustedTaskcluster } from '../requests/taskcluster-auth.ts';
import type { MongoInspection } from '../store/mongodb/inspect-mongodb.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Clock } from '../util/clock.ts';
import { untilAborted } from '../util/deadline.ts';
import type { ClockReading, NamespaceContact, PingAnswer, ScopesAnswer } from './taskcluster-steps.ts';

/** The longest wait for a reply of the auth service, in ms. */
const PING_TIMEOUT_MS = 5_000;
/** For each try of a signed call, in ms. */
const AUTH_TIMEOUT_MS = 4_000;

const pongSchema = z.object({ alive: z.literal(true) });

/**
 * Pings the Taskcluster auth service.
 *
 * @throws AgentError `AuthUnavailable` without a reply
 */
export async function pingAuth(rootUrl: string, signal: AbortSignal): Promise<PingAnswer> {
  try {
    const answer = await fetch(`${rootUrl}/api/auth/v1/ping`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(PING_TIMEOUT_MS)]),
      redirect: 'manual',
    });
    const isAlive = pongSchema.safeParse(await answer.json().catch(() => undefined)).success;
    return { status: answer.status, isAlive, date: answer.headers.get('date') };
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as { cause?: { code?: unknown } };
    const code = typeof cause?.code === 'string' ? cause.code : '';
    if (tlsFaultIn(code) === 'untrusted') throw untrustedTaskcluster(code);
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    const reason = isLate ? `no answer in ${PING_TIMEOUT_MS / 1000} s` : code;
    const why = reason === '' ? '' : ` (${reason})`;
    throw new AgentError(
      'AuthUnavailable',
      `The Taskcluster auth service at ${rootUrl} does not answer${why}: check that it runs and that TASKCLUSTER_ROOT_URL is right. Without it nothing can be claimed.`,
    );
  }
}

/**
 * Has the auth service authenticate a signed request that is never sent: the reply names the scopes of the signer. The call is
 * made by Taskcluster's own client, so that it also judges what the agent makes of root URL and credentials.
 *
 * @throws AgentError `AuthUnavailable` without a valid reply
 */
export async function askScopes(config: Config, clock: Clock, signal: AbortSignal): Promise<ScopesAnswer> {
  const { taskclusterClientId: clientId, taskclusterAccessToken: accessToken, audience } = config;
  const request = { method: 'ping', replyTo: 'amq.rabbitmq.reply-to', correlationId: 'verify' } as const;
  const { authorization } = signRequest({
    ...request,
    body: Buffer.from('{}'),
    audience,
    credentials: { clientId: clientId ?? '', accessToken: accessToken?.reveal() ?? '' },
    timestampSeconds: Math.floor(clock.nowMs() / 1000),
  });
  const resource = signedResource(request.method, request.replyTo, request.correlationId);
  const auth = new taskcluster.Auth({
    rootUrl: config.taskclusterRootUrl,
    credentials: {},
    timeout: AUTH_TIMEOUT_MS,
    retries: 2,
  });
  let reply: unknown;
  try {
    const called = auth.authenticateHawk({ method: 'post', resource, host: audience, port: 443, authorization });
    reply = await untilAborted(called, signal);
  } catch (error) {
    signal.throwIfAborted();
    // Not as a cause: the library's error has the request with its authorization header.
    const { code, statusCode } = error as { readonly code?: unknown; readonly statusCode?: unknown };
    if (typeof code === 'string' && tlsFaultIn(code) === 'untrusted') throw untrustedTaskcluster(code);
    const why = typeof statusCode === 'number' ? `HTTP ${statusCode}` : typeof code === 'string' ? code : 'no response';
    throw new AgentError(
      'AuthUnavailable',
      `The Taskcluster auth service cannot be used (${why}). Check that it runs and that TASKCLUSTER_ROOT_URL is correct.`,
    );
  }
  const outcome = readAuthReply(reply);
  if (outcome.status === 'auth-success') return { ...outcome, status: 'known' };
  return { status: 'refused', message: outcome.status === 'auth-failed' ? outcome.message : 'no signature' };
}

/** The clock of MongoDB; none for LMDB, which has no server. */
export async function readStoreClock(
  store: StoreReader | MongoInspection | undefined,
  clock: Clock,
): Promise<readonly ClockReading[]> {
  if (store === undefined || !('setup' in store)) return [];
  const askedMs = clock.nowMs();
  const { timeMs } = await store.setup();
  const readMs = clock.nowMs();
  if (timeMs === undefined) return [];
  return [{ whose: 'MongoDB', aheadMs: timeMs - (askedMs + readMs) / 2, toleranceMs: (readMs - askedMs) / 2 }];
}

/** The contacts of all namespaces that have one. */
export async function readContacts(
  namespaces: StoreReader['namespaces'],
  signal: AbortSignal,
): Promise<NamespaceContact[]> {
  const contacts: NamespaceContact[] = [];
  for await (const page of namespacePages(namespaces, signal)) {
    for (const { namespace, contact } of page) if (contact !== null) contacts.push({ namespace, contact });
  }
  return contacts;
}
