import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import taskcluster, { type Auth, type AuthenticateHawkRequest } from 'taskcluster-client';
import * as z from 'zod';
import { AgentError } from '../util/agent-errors.ts';
import { type Deadline, startDeadline, TimeoutError } from '../util/deadline.ts';
import { retry, withJitter } from '../util/retry.ts';
import { createSemaphore } from '../util/semaphore.ts';

/** A signed request in the terms of HTTP, which it need not be: only the signature is about it. */
export interface HawkRequest {
  readonly method: 'post';
  readonly resource: string;
  readonly host: string;
  readonly port: 443;
  readonly authorization: string;
}

/** What Taskcluster says about a signature. `expires` is ISO 8601; `hash` is as signed, and nobody has compared it. */
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
   * Asks about this request, anew each time: what Taskcluster takes away is gone at once.
   *
   * @throws AgentError AuthUnavailable when the auth service does not answer sensibly in time, or too many wait for it; Stopping after `close`;
   * `signal.reason` when the signal aborts.
   */
  authenticate(request: HawkRequest, signal: AbortSignal): Promise<AuthOutcome>;
  /** Cuts the connections to the auth service; calls that still run fail. */
  close(): void;
}

/** Where and how to ask. */
export interface TaskclusterAuthOptions {
  readonly rootUrl: string;
  /** For one authentication with all its tries and its wait for a free place. */
  readonly timeoutMs?: number;
  /** Calls at once; each may hold one connection. */
  readonly callsAtOnce?: number;
  /** Calls that may wait for a free place; more are turned away at once. */
  readonly callsWaiting?: number;
}

/** Well below the 10 s in which a client hears that something does not answer. */
const DEFAULT_TIMEOUT_MS = 4_000;
const DEFAULT_CALLS_AT_ONCE = 32;
const DEFAULT_CALLS_WAITING = 1_000;
/** Waits before further tries: enough for a kept connection that the service had closed, and for one bad instance. */
const RETRY_PAUSES_MS = [50, 200];
/** hawk's own limit: the service answers "Header length too long" beyond it. */
const LONGEST_HEADER = 4096;

const scopes = z.array(z.string());
const replySchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('auth-success'),
    scheme: z.literal('hawk'),
    clientId: z.string().min(1),
    scopes,
    hash: z.string().optional(),
    expires: z.iso.datetime(),
  }),
  z.object({ status: z.literal('auth-failed'), message: z.string() }),
  z.object({ status: z.literal('no-auth') }),
]);

/**
 * An authenticator that calls authenticateHawk of the Taskcluster at `rootUrl`.
 *
 * @example
 * const authenticator = createAuthenticator({ rootUrl: 'https://tc.example.com' });
 */
export function createTaskclusterAuth(options: TaskclusterAuthOptions): TaskclusterAuth {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const atOnce = options.callsAtOnce ?? DEFAULT_CALLS_AT_ONCE;
  const semaphore = createSemaphore(atOnce, {
    maxWaiting: options.callsWaiting ?? DEFAULT_CALLS_WAITING,
    makeError: ({ running, waiting }) =>
      new AgentError(
        'AuthUnavailable',
        `${running} calls to the Taskcluster auth service are in progress and ${waiting} wait already. Try again later.`,
      ),
  });
  const agentOptions = { keepAlive: true, maxSockets: atOnce, maxFreeSockets: atOnce };
  const agents = { http: new HttpAgent(agentOptions), https: new HttpsAgent(agentOptions) };
  const auth = createAuth(options.rootUrl, timeoutMs, agents);
  let closed = false;

  const call = async (request: AuthenticateHawkRequest, deadline: Deadline): Promise<unknown> => {
    if (deadline.passed) throw new TimeoutError(timeoutMs);
    return await retry(
      () => auth.authenticateHawk(request),
      async (error, failures) => {
        const pauseMs = RETRY_PAUSES_MS[failures - 1];
        if (pauseMs === undefined || closed || deadline.passed || !worthAnotherTry(error)) throw error;
        await sleep(withJitter(pauseMs), undefined, { signal: deadline.signal });
      },
    );
  };

  return {
    async authenticate(request, signal) {
      signal.throwIfAborted();
      if (closed) throw new AgentError('Stopping', 'The agent is stopping. Send the request again.');
      if (request.authorization === '') return { status: 'no-auth' };
      if (request.authorization.length > LONGEST_HEADER) {
        return { status: 'auth-failed', message: `The Hawk header is longer than ${LONGEST_HEADER} characters.` };
      }
      const deadline = startDeadline(timeoutMs, signal);
      try {
        const release = semaphore.tryAcquire() ?? (await semaphore.acquire(deadline.signal));
        // Its place is taken until the call is really over, not only until its caller has given up.
        const called = call(request, deadline).finally(release);
        return outcomeOf(await deadline.race(called));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw unavailable(error, timeoutMs);
      } finally {
        deadline.clear();
      }
    },
    close() {
      closed = true;
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

interface Agents {
  http: HttpAgent;
  https: HttpsAgent;
}

/**
 * A client of the auth service with connections of its own, kept open. An agent that is passed as an option is made
 * inside, where nothing can close it; one in the library's `agents` is taken as it is.
 */
function createAuth(rootUrl: string, timeoutMs: number, agents: Agents): Auth {
  const shared = { ...taskcluster.agents };
  Object.assign(taskcluster.agents, agents);
  try {
    // The library would try again after a time-out too, holding a place for as long as all its tries take, and nothing
    // could stop it.
    return new taskcluster.Auth({ rootUrl, credentials: {}, timeout: timeoutMs, retries: 0 });
  } finally {
    Object.assign(taskcluster.agents, shared);
  }
}

/** Not after a time-out, for there is no time left, nor after a refusal (4xx), which would be the same again. */
function worthAnotherTry(error: unknown): boolean {
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
      'The Taskcluster auth service gave an answer that makes no sense. See whether TASKCLUSTER_ROOT_URL is right.',
    );
  }
  const { data } = result;
  if (data.status !== 'auth-success') return data;
  return { status: data.status, clientId: data.clientId, scopes: data.scopes, hash: data.hash, expires: data.expires };
}

/**
 * The error for a failed call. The library's own holds the request with its Authorization header, so that nothing of it
 * but a short code goes on.
 */
function unavailable(error: unknown, timeoutMs: number): AgentError {
  if (error instanceof AgentError) return error;
  const { code, statusCode } = codesOf(error);
  if (error instanceof TimeoutError || code === 'ECONNABORTED') {
    return new AgentError(
      'AuthUnavailable',
      `The Taskcluster auth service did not answer in ${timeoutMs} ms. Try later.`,
    );
  }
  const reason = [
    typeof statusCode === 'number' ? `HTTP ${statusCode}` : undefined,
    typeof code === 'string' && /^[A-Za-z_]{1,40}$/.test(code) ? code : undefined,
  ].filter((part) => part !== undefined);
  const why = reason.length > 0 ? ` (${reason.join(', ')})` : '';
  return new AgentError(
    'AuthUnavailable',
    `The Taskcluster auth service cannot be used${why}. See that it runs and that TASKCLUSTER_ROOT_URL is right.`,
  );
}
