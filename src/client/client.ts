import { WireError } from '../contract/wire-errors.ts';
import type { ClaimedLimits } from '../contract/queue-limits-field.ts';
import type { Claim, MethodName, ResultBody } from '../contract/methods.ts';
import {
  checkedSource,
  type ClientOptions,
  checkedTimeoutMs,
  credentialsFor,
  expiresFrom,
  instantOf,
} from './client-options.ts';
import { connectToOne } from './amqp-connection.ts';
import { type ConnectionSource, RpcConnection } from './rpc-connection.ts';
import { decideRetry, type FailedAttempt } from './decide-retry.ts';
import { AnsweredError, ClientClosed, NoReply, toClientError, Unavailable } from './client-errors.ts';
import { Lease } from './lease.ts';
import { DEFAULT_ID, type RpcInput } from './rpc.ts';
import { parseAmqpUrls } from '../contract/url.ts';
import { requestUrl } from './request-url.ts';
import { systemTime, type Time } from './time.ts';

/** Options of one call. */
export interface CallOptions {
  /** In place of the client's `timeoutMs`. */
  readonly timeoutMs?: number;
  /** Aborts the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of a call that reads namespaces. */
export interface ReadOptions extends CallOptions {
  /**
   * Whether to sign the request, so that the agent returns the details of the namespaces that the client may claim or
   * describe. An older agent returns none.
   */
  readonly details?: boolean;
}

interface InternalCallOptions extends CallOptions {
  /** Whether the request is signed although its method does not need it. */
  readonly isSigned?: boolean;
  /** Whether `RequestConflict` is not retried. */
  readonly conflictsAreFinal?: boolean;
}

/** When one call has to stop. */
interface CallLimits {
  /** Aborts when the caller or the client aborts the call. */
  readonly stopped: AbortSignal;
  /** Aborts when the time for the call is up. */
  readonly late: AbortSignal;
  /** Aborts with the first of both. */
  readonly ended: AbortSignal;
  readonly leftMs: () => number;
}

/** What to claim. */
export interface ClaimRequest {
  readonly namespace: string;
  /** When it may be deleted; omitted: at least the agent's default lifetime from now. A claim never shortens it. */
  readonly expires?: Date | string;
  /**
   * Where notices about overgrown queues go: an email address, `matrix:!id:server` or `slack:C…`. Omitted, the stored one
   * stays; null clears it.
   */
  readonly contact?: string | null;
  /**
   * Higher limits for its queues, within what the operators allow. Omitted, the stored ones stay; null: those of the rules
   * hold. An older agent refuses a claim with it.
   */
  readonly queueLimits?: ClaimedLimits | null;
}

/** What to claim for as long as a lease is held. */
export interface LeaseRequest extends Omit<ClaimRequest, 'expires'> {
  /**
   * An instant, at which the lease is lost, too, or a function that returns one for each claim. Omitted: each claim extends
   * it to the agent's default lifetime from then.
   */
  readonly expires?: Date | string | (() => Date | string);
}

/** The public view of a namespace. */
export type Namespace = ResultBody<'get-namespace'>;

/** A namespace as those see it who may claim or describe it. */
export type NamespaceDescription = ResultBody<'describe-namespace'>;

/** An agent answers within 10 s or not at all. */
const ATTEMPT_TIMEOUT_MS = 15_000;
const CALL_TIMEOUT_MS = 30_000;

/**
 * A client of Pulse Agent. It connects on demand, reconnects by itself, requests sealed results with a new key for each
 * claim, and retries what can succeed later, with a new signature, until the time for the call is up.
 *
 * All methods reject with a {@link PulseAgentError}, which has a `code` and says whether it is `retryable`; with the reason
 * of the caller's own `signal` if that aborts the call.
 *
 * @example
 * const client = new PulseAgentClient({
 *   url: 'amqps://pulse-agent-claimant:password@pulse.example.com',
 *   credentials: { clientId: 'project/builds/worker', accessToken: 'the access token' },
 * });
 * const { connectionString, reclaimAt } = await client.claimNamespace({ namespace: 'taskcluster-builds' });
 * await client.close();
 */
export class PulseAgentClient {
  readonly #options: ClientOptions;
  readonly #time: Time;
  readonly #connection: RpcConnection;
  readonly #closing = new AbortController();
  readonly #leases = new Set<Lease>();

  /** @throws InputError if an option is invalid, or not exactly one of `url` and `connection` is given. */
  constructor(options: ClientOptions = {}) {
    const source = checkedSource(options);
    this.#options = options;
    this.#time = options.time ?? systemTime;
    this.#connection = this.#connectionTo(source);
    const { signal } = options;
    if (signal?.aborted) void this.close();
    else signal?.addEventListener('abort', () => void this.close(), { once: true });
  }

  /** Checks that an agent is alive. */
  async ping(options: CallOptions = {}): Promise<ResultBody<'ping'>> {
    return await this.#call('ping', {}, options);
  }

  /** Claims a namespace, or claims it again. */
  async claimNamespace(request: ClaimRequest, options: CallOptions = {}): Promise<Claim> {
    return await this.#call('claim-namespace', claimBody(request), options);
  }

  /** Returns one namespace. */
  async getNamespace(namespace: string, options: ReadOptions = {}): Promise<Namespace> {
    return await this.#call('get-namespace', { namespace }, { ...options, isSigned: options.details === true });
  }

  /**
   * Describes a namespace that the client may claim or describe: its queues, how they grow and when they reach their next
   * threshold, its alerts, and what was done. Growth is known from the second request on, some 10 s after the first one. An
   * older agent does not serve it: `MethodNotServed`.
   */
  async describeNamespace(namespace: string, options: CallOptions = {}): Promise<NamespaceDescription> {
    return await this.#call('describe-namespace', { namespace }, options);
  }

  /** Returns all namespaces, sorted by name. Requests a page when it is needed. */
  async *listNamespaces(options: ReadOptions & { readonly pageSize?: number } = {}): AsyncGenerator<Namespace> {
    const { pageSize: limit, details: isSigned = false } = options;
    let continuationToken: string | undefined;
    do {
      const page = await this.#call(
        'list-namespaces',
        {
          ...(limit === undefined ? {} : { limit }),
          ...(continuationToken === undefined ? {} : { continuationToken }),
        },
        { ...options, isSigned },
      );
      yield* page.namespaces;
      continuationToken = page.continuationToken;
    } while (continuationToken !== undefined);
  }

  /** Releases a namespace: the agent deletes it and everything it owns. */
  async releaseNamespace(namespace: string, options: CallOptions = {}): Promise<ResultBody<'release-namespace'>> {
    return await this.#call('release-namespace', { namespace }, options);
  }

  /** Revokes all credentials of a namespace. With `until`, the agent refuses claims until then. */
  async revokeNamespace(
    namespace: string,
    options: CallOptions & { readonly until?: Date | string } = {},
  ): Promise<ResultBody<'revoke-namespace'>> {
    const { until } = options;
    return await this.#call(
      'revoke-namespace',
      { namespace, ...(until === undefined ? {} : { until: instantOf('until', until) }) },
      options,
    );
  }

  /**
   * Claims a namespace, and renews the claim in time until the lease is stopped.
   *
   * @example
   * const lease = await client.lease({ namespace: 'taskcluster-builds', contact: 'builds@example.com' });
   * lease.on('failing', ({ error }) => console.warn(`cannot renew: ${error.message}`));
   * lease.on('lost', (error) => {
   *   console.error(error.message);
   *   process.exit(1);
   * });
   * const connection = await connect(lease.connectionString);
   */
  async lease(request: LeaseRequest, options: CallOptions = {}): Promise<Lease> {
    const { expires, ...rest } = request;
    const body = (): RpcInput<'claim-namespace'> => {
      const instant = typeof expires === 'function' ? expiresFrom(expires) : expires;
      return claimBody(instant === undefined ? rest : { ...rest, expires: instant });
    };
    const first = await this.#call('claim-namespace', body(), options);
    const lease = new Lease(first, {
      // A namespace that is being deleted or is revoked is lost, even if it could be claimed again soon.
      claim: (signal) => this.#call('claim-namespace', body(), { signal, conflictsAreFinal: true }),
      claimWith: (urls, signal) => this.#claimWith(urls, body(), signal),
      release: () => this.releaseNamespace(rest.namespace),
      onStopped: (stopped) => void this.#leases.delete(stopped),
      connectionDefaults: { open: (url) => connectToOne(url, { ca: this.#options.ca }) },
      time: this.#time,
    });
    this.#leases.add(lease);
    if (this.#closing.signal.aborted) await lease.stop();
    return lease;
  }

  /** Stops the leases without releasing them, aborts calls in progress, and closes the connections it opened. */
  async close(): Promise<void> {
    this.#closing.abort(new ClientClosed('The client is closed.'));
    for (const lease of this.#leases) await lease.stop();
    await this.#connection.close();
  }

  #connectionTo(source: ConnectionSource): RpcConnection {
    const { id, audience, ca } = this.#options;
    return new RpcConnection(typeof source === 'string' ? this.#requestUrl(source) : source, {
      ...(id === undefined ? {} : { id }),
      ...(audience === undefined ? {} : { audience }),
      ca,
      // Clients of one cluster spread over its nodes.
      spread: this.#time.random(),
      nowMs: () => this.#time.nowMs(),
    });
  }

  /** An AMQP URL with the vhost of the requests. */
  #requestUrl(source: string): string {
    const { url, requestVhost, id = DEFAULT_ID } = this.#options;
    const vhostOfUrl = url === undefined ? undefined : parseAmqpUrls(url)[0].vhost;
    return requestUrl(source, requestVhost ?? vhostOfUrl ?? id);
  }

  /** One claim over a connection with the credentials of the claimed account. */
  async #claimWith(urls: string, body: RpcInput<'claim-namespace'>, signal: AbortSignal): Promise<Claim> {
    const connection = this.#connectionTo(urls);
    try {
      return await this.#call('claim-namespace', body, { signal, conflictsAreFinal: true }, connection);
    } finally {
      await connection.close();
    }
  }

  /** Sends a request until it succeeds, cannot succeed, or the time for the call is up. */
  async #call<M extends MethodName>(
    method: M,
    body: RpcInput<M>,
    options: InternalCallOptions,
    connection = this.#connection,
  ): Promise<ResultBody<M>> {
    const limits = this.#limitsOf(options);
    let lastError: unknown;
    let answer: AnsweredError | undefined;
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#attempt(method, body, limits, connection, options.isSigned);
      } catch (error) {
        // A time-out says less than the failure before it.
        if (!limits.late.aborted || error !== limits.late.reason) lastError = error;
        if (error instanceof AnsweredError) answer = error;
        const nowMs = this.#time.nowMs();
        const isFinal =
          options.conflictsAreFinal === true && error instanceof WireError && error.code === 'RequestConflict';
        const failed = { error, method, failures, leftMs: limits.leftMs(), nowMs, random: this.#time.random() };
        const isRetried = !isFinal && (await this.#pauseBeforeRetry(failed, limits));
        limits.stopped.throwIfAborted();
        if (isRetried) continue;
        const last = lastError instanceof NoReply && answer !== undefined ? lastError.after(answer) : lastError;
        throw this.#errorOf(last ?? limits.late.reason, nowMs);
      }
    }
  }

  #limitsOf({ timeoutMs: wanted, signal }: CallOptions): CallLimits {
    const timeoutMs = checkedTimeoutMs(wanted ?? this.#options.timeoutMs ?? CALL_TIMEOUT_MS);
    const untilMs = this.#time.monotonicMs() + timeoutMs;
    const stopped = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    const late = AbortSignal.timeout(timeoutMs);
    return {
      stopped,
      late,
      ended: AbortSignal.any([stopped, late]),
      leftMs: () => untilMs - this.#time.monotonicMs(),
    };
  }

  async #attempt<M extends MethodName>(
    method: M,
    body: RpcInput<M>,
    { stopped, ended, leftMs }: CallLimits,
    connection: RpcConnection,
    isSigned: boolean | undefined,
  ): Promise<ResultBody<M>> {
    const credentials = await credentialsFor(method, this.#options.credentials, ended, isSigned);
    return await connection.use((rpc) => {
      // Its own time-out instead of `ended`, because it reports whether the request was sent.
      const timeoutMs = Math.min(ATTEMPT_TIMEOUT_MS, leftMs());
      return rpc.request(method, body, stopped, { timeoutMs, ...(credentials && { credentials }) });
    }, ended);
  }

  /** @returns whether there is another attempt, after its pause. */
  async #pauseBeforeRetry(failed: FailedAttempt, { ended, late }: CallLimits): Promise<boolean> {
    const pauseMs = ended.aborted ? undefined : decideRetry(failed);
    if (pauseMs === undefined) return false;
    await this.#time.sleep(pauseMs, ended).catch(() => undefined);
    return !late.aborted;
  }

  #errorOf(error: unknown, nowMs: number): unknown {
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      return new Unavailable('Unavailable', 'RabbitMQ did not answer in time.', { cause: error });
    }
    return toClientError(error, nowMs);
  }
}

function claimBody({ namespace, expires, contact, queueLimits }: ClaimRequest): RpcInput<'claim-namespace'> {
  return {
    namespace,
    ...(expires === undefined ? {} : { expires: instantOf('expires', expires) }),
    ...(contact === undefined ? {} : { contact }),
    ...(queueLimits === undefined ? {} : { queueLimits }),
  };
}
