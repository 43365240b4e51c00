import { setTimeout as sleep } from 'node:timers/promises';
import scopeLibrary from 'taskcluster-lib-scopes';
import * as z from 'zod';
import { tlsFaultIn } from '../contract/tls-faults.ts';
import { AgentError } from '../util/agent-errors.ts';
import { type Deadline, startDeadline, TimeoutError } from '../util/deadline.ts';
import { HttpFault, openHttpPool } from '../util/http-pool.ts';
import { retry, withJitter } from '../util/retry.ts';
import { createSemaphore, type Semaphore } from '../util/semaphore.ts';
import { shorten } from '../util/shorten.ts';

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
   * Calls the auth service for every request, without a cache: a revoked client or scope takes effect as soon as the
   * instance of the service that answers has noticed.
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
const ENDPOINT = '/api/auth/v1/authenticate-hawk';
const HEADERS = { 'content-type': 'application/json', accept: 'application/json' };

/** An error of Taskcluster quotes the request. */
const MAX_RESPONSE_BYTES = 1024 * 1024;

const errorSchema = z.object({ code: z.string().regex(/^[A-Za-z]{1,40}$/) });
/** A refusal lists all scopes of the client, up to 200 kB. Client, log and audit get its beginning. */
const MAX_REFUSAL_LENGTH = 500;

const replySchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('auth-success'),
    scheme: z.literal('hawk'),
    clientId: z.string().min(1),
    scopes: z.array(z.string()),
    hash: z.string().optional(),
    expires: z.iso.datetime(),
  }),
  z.object({
    status: z.literal('auth-failed'),
    message: z.string().transform((text) => shorten(text, MAX_REFUSAL_LENGTH)),
  }),
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
  const root = new URL(options.rootUrl);
  const pool = openHttpPool({
    server: root,
    // One more, for the probe: the calls never use more than their places.
    connections: concurrency + 1,
    pauseTimeoutMs: timeoutMs,
    maxTextBytes: MAX_RESPONSE_BYTES,
  });
  const path = `${root.pathname.replace(/\/+$/, '')}${ENDPOINT}`;
  let closed = false;

  /** One call. Its caller may abandon it; the service still works on it, so it goes on until the service responds. */
  const post = async (body: string): Promise<unknown> => {
    const started = pool.start({ method: 'POST', path, headers: HEADERS, body });
    const { status, text } = await started.response;
    if (status !== 200) throw new RefusedCall(status, errorCode(text));
    return parseJson(text);
  };

  const call = async (request: HawkRequest, deadline: Deadline): Promise<unknown> => {
    if (deadline.passed) throw new TimeoutError(timeoutMs);
    const body = JSON.stringify(request);
    return await retry(
      () => post(body),
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
      return readAuthReply(await deadline.race(called));
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
      pool.close();
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

/** The service responded with another status than 200. `errorCode` is Taskcluster's, such as `InputValidation`. */
class RefusedCall extends Error {
  readonly status: number;
  readonly errorCode: string | undefined;

  constructor(status: number, code: string | undefined) {
    super(`HTTP ${status}`);
    this.status = status;
    this.errorCode = code;
  }
}

/** Not a time-out, after which there is no time left, and not a 4xx, which would be the same again. */
function isRetryable(error: unknown): boolean {
  if (error instanceof RefusedCall) return error.status >= 500;
  return error instanceof HttpFault && error.code !== 'ETIMEDOUT';
}

/** The `code` of Taskcluster's error. Its message quotes the request with the authorization header, and is dropped here. */
function errorCode(text: string): string | undefined {
  return errorSchema.safeParse(parseJson(text)).data?.code;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Checks a reply of `authenticateHawk`.
 *
 * @throws AgentError `AuthUnavailable` when it is none
 */
export function readAuthReply(reply: unknown): AuthOutcome {
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

/** The error for a failed call. Only codes are shown: the response may quote the request with its authorization header. */
function unavailable(error: unknown, timeoutMs: number): AgentError {
  if (error instanceof AgentError) return error;
  if (error instanceof TimeoutError || (error instanceof HttpFault && error.code === 'ETIMEDOUT')) {
    return new AgentError(
      'AuthUnavailable',
      `The Taskcluster auth service did not answer in ${timeoutMs} ms. Try again later.`,
    );
  }
  if (error instanceof HttpFault && tlsFaultIn(error.code) === 'untrusted') return untrustedTaskcluster(error.code);
  const why = reasonOf(error);
  return new AgentError(
    'AuthUnavailable',
    `The Taskcluster auth service cannot be used${why}. Check that it runs and that TASKCLUSTER_ROOT_URL is correct.`,
  );
}

/** The error for a certificate of Taskcluster that is not trusted. */
export function untrustedTaskcluster(code: string): AgentError {
  return new AgentError(
    'AuthUnavailable',
    `The certificate of the Taskcluster auth service is not trusted (${code}). Start the agent with NODE_EXTRA_CA_CERTS=<file>, which names the CA that signed it, and use a host name of the certificate in TASKCLUSTER_ROOT_URL.`,
  );
}

function reasonOf(error: unknown): string {
  if (error instanceof HttpFault) return ` (${error.code})`;
  if (!(error instanceof RefusedCall)) return '';
  return ` (HTTP ${error.status}${error.errorCode === undefined ? '' : `, ${error.errorCode}`})`;
}
