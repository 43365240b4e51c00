import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import taskcluster, { type Auth, type AuthenticateHawkRequest } from 'taskcluster-client';
import scopeLibrary from 'taskcluster-lib-scopes';
import * as z from 'zod';
import { AgentError } from '../util/agent-errors.ts';
import { type Deadline, startDeadline, TimeoutError } from '../util/deadline.ts';
import { retry, withJitter } from '../util/retry.ts';
import { createSemaphore, type Semaphore } from '../util/semaphore.ts';

/** The HTTP request that was signed. It is never sent; it exists only to be signed. */
export interface HawkRequest {
  readonly method: 'post';
  readonly resource: string;
  readonly host: string;
  readonly port: 443;
  readonly authorization: string;
}

/** Taskcluster's verdict on a signature. `expires` is ISO 8601; `hash` is as signed, Taskcluster does not check it. */
export type AuthOutcome =
  | {
      readonly status: 'auth-success';
      readonly clientId: string;
      readonly scopes: readonly string[];
      readonly hash: string | undefined;
      readonly expires: string;
    }
  | { readonly status: 'auth-failed'; readonly message: string }
  | { readonly status: 'no-auth' };

/** Asks Taskcluster who signed. */
export interface TaskclusterAuth {
  /**
   * Calls the auth service for every request, without a cache: a revoked client or scope takes effect immediately.
   *
   * @throws AgentError `AuthUnavailable` when the auth service gives no valid answer in time, or too many calls wait for it;
   *   `Stopping` after `close`; `signal.reason` when the signal aborts.
   */
  authenticate(request: HawkRequest, signal: AbortSignal): Promise<AuthOutcome>;
  /**
   * Sends a request without a signature to learn whether the auth service answers. It has a place of its own beside
   * `concurrency`, so that slow calls do not keep it waiting.
   *
   * @throws AgentError `AuthUnavailable`; `Stopping` after `close`; `signal.reason` when the signal aborts.
   */
  probe(request: HawkRequest, signal: AbortSignal): Promise<void>;
  /** Closes the connections to the auth service; calls in progress fail. */
  close(): void;
}

/** Which auth service, and the limits for calls to it. */
export interface TaskclusterAuthOptions {
  readonly rootUrl: string;
  /** For one authentication with all retries and the wait for a connection, in ms; 4 s when absent. */
  readonly timeoutMs?: number;
  /** How many calls run at the same time, each on its own connection; 32 when absent. */
  readonly concurrency?: number;
  /** How many more calls may wait; a call beyond that fails immediately. 1000 when absent. */
  readonly maxWaiting?: number;
}

/** Well below the 10 s within which a client gets a reply. */
const DEFAULT_TIMEOUT_MS = 4_000;
const DEFAULT_CONCURRENCY = 32;
const DEFAULT_MAX_WAITING = 1_000;
/** Enough retries for a kept-alive connection that the service had closed, and for one bad instance. */
const RETRY_PAUSES_MS = [50, 200];

const replySchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('auth-success'),
    scheme: z.literal('hawk'),
    clientId: z.string().min(1),
    scopes: z.array(z.string()),
    hash: z.string().optional(),
    expires: z.iso.datetime(),
  }),
  z.object({ status: z.literal('auth-failed'), message: z.string() }),
  z.object({ status: z.literal('no-auth') }),
]);

/**
 * Authenticates with `authenticateHawk` of the Taskcluster at `rootUrl`.
 *
 * @example
 * const auth = createTaskclusterAuth({ rootUrl: 'https://tc.example.com' });
 */
export function createTaskclusterAuth(options: TaskclusterAuthOptions): TaskclusterAuth {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
  const semaphore = createSemaphore(concurrency, {
    maxWaiting: options.maxWaiting ?? DEFAULT_MAX_WAITING,
    makeError: ({ running, waiting }) =>
      new AgentError(
        'AuthUnavailable',
        `${running} calls to the Taskcluster auth service are in progress and ${waiting} wait already. Try again later.`,
      ),
  });
  const probePlace = createSemaphore(1);
  // One more, for the probe: the calls never use more than their places.
  const agentOptions = { keepAlive: true, maxSockets: concurrency + 1, maxFreeSockets: concurrency + 1 };
  const agents = { http: new HttpAgent(agentOptions), https: new HttpsAgent(agentOptions) };
  const auth = createAuth(options.rootUrl, timeoutMs, agents);
  let closed = false;

  const call = async (request: AuthenticateHawkRequest, deadline: Deadline): Promise<unknown> => {
    if (deadline.passed) throw new TimeoutError(timeoutMs);
    return await retry(
      () => auth.authenticateHawk(request),
      async (error, failures) => {
        const pauseMs = RETRY_PAUSES_MS[failures - 1];
        if (pauseMs === undefined || closed || deadline.passed || !isRetryable(error)) throw error;
        await sleep(withJitter(pauseMs), undefined, { signal: deadline.signal });
      },
    );
  };

  /** Calls when one of the places is free. */
  const callIn = async (places: Semaphore, request: HawkRequest, signal: AbortSignal): Promise<AuthOutcome> => {
    signal.throwIfAborted();
    if (closed) throw new AgentError('Stopping', 'The agent is stopping. Send the request again.');
    const deadline = startDeadline(timeoutMs, signal);
    try {
      const release = places.tryAcquire() ?? (await places.acquire(deadline.signal));
      // The call counts until it is really over, even if its caller has given up.
      const called = call(request, deadline).finally(release);
      return outcomeOf(await deadline.race(called));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw unavailable(error, timeoutMs);
    } finally {
      deadline.clear();
    }
  };

  return {
    authenticate: (request, signal) => callIn(semaphore, request, signal),
    async probe(request, signal) {
      await callIn(probePlace, request, signal);
    },
    close() {
      closed = true;
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/**
 * Whether `scopes` satisfy the scope `required` by Taskcluster's rules: a scope that ends in `*` satisfies every scope that
 * starts with the rest of it.
 *
 * @example
 * scopesSatisfy(['pulse:namespace:taskcluster-*'], 'pulse:namespace:taskcluster-x'); // true
 */
export function scopesSatisfy(scopes: readonly string[], required: string): boolean {
  return scopeLibrary.satisfiesExpression(scopes, required);
}

interface Agents {
  http: HttpAgent;
  https: HttpsAgent;
}

/**
 * A client of the auth service with its own kept-alive connections. The library copies an HTTP agent that is passed as an
 * option, so that it could not be closed; one in its `agents` is used as it is.
 */
function createAuth(rootUrl: string, timeoutMs: number, agents: Agents): Auth {
  const shared = { ...taskcluster.agents };
  Object.assign(taskcluster.agents, agents);
  try {
    // No retries by the library: it would retry after a time-out, too, and could not be stopped.
    return new taskcluster.Auth({ rootUrl, credentials: {}, timeout: timeoutMs, retries: 0 });
  } finally {
    Object.assign(taskcluster.agents, shared);
  }
}

/** Not a time-out, after which there is no time left, and not a 4xx, which would be the same again. */
function isRetryable(error: unknown): boolean {
  const { code, statusCode } = codesOf(error);
  return code !== 'ECONNABORTED' && (typeof statusCode !== 'number' || statusCode >= 500);
}

function codesOf(error: unknown): { code: unknown; statusCode: unknown } {
  if (typeof error !== 'object' || error === null) return { code: undefined, statusCode: undefined };
  return {
    code: 'code' in error ? error.code : undefined,
    statusCode: 'statusCode' in error ? error.statusCode : undefined,
  };
}

function outcomeOf(reply: unknown): AuthOutcome {
  const result = replySchema.safeParse(reply);
  if (!result.success) {
    throw new AgentError(
      'AuthUnavailable',
      'The Taskcluster auth service returned an unexpected response. Check TASKCLUSTER_ROOT_URL.',
    );
  }
  const { data } = result;
  if (data.status !== 'auth-success') return data;
  return { status: data.status, clientId: data.clientId, scopes: data.scopes, hash: data.hash, expires: data.expires };
}

/**
 * The error for a failed call. Only short codes are taken from the library's error, which holds the request with its
 * authorization header.
 */
function unavailable(error: unknown, timeoutMs: number): AgentError {
  if (error instanceof AgentError) return error;
  const { code, statusCode } = codesOf(error);
  if (error instanceof TimeoutError || code === 'ECONNABORTED') {
    return new AgentError(
      'AuthUnavailable',
      `The Taskcluster auth service did not answer in ${timeoutMs} ms. Try again later.`,
    );
  }
  const reason = [
    typeof statusCode === 'number' ? `HTTP ${statusCode}` : undefined,
    typeof code === 'string' && /^[A-Za-z_]{1,40}$/.test(code) ? code : undefined,
  ].filter((part) => part !== undefined);
  const why = reason.length > 0 ? ` (${reason.join(', ')})` : '';
  return new AgentError(
    'AuthUnavailable',
    `The Taskcluster auth service cannot be used${why}. Check that it runs and that TASKCLUSTER_ROOT_URL is correct.`,
  );
}
