import { WireError } from '../contract/wire-errors.ts';
import { formatInstant } from '../contract/fields.ts';
import type { MethodName, ResultBody } from '../contract/methods.ts';
import type { ClientCredentials } from '../contract/signature.ts';
import { type ConnectionSource, RpcConnection } from './rpc-connection.ts';
import { decideRetry } from './decide-retry.ts';
import { ClientClosed, toClientError, Unavailable } from './client-errors.ts';
import { Lease } from './lease.ts';
import type { RpcInput } from './rpc.ts';
import { systemTime, type Time } from './time.ts';

/** Which agent to talk to, over which broker, as whom. */
export interface ClientOptions {
  /** The AMQP URL for requests, with the name and password of the agent's claimant or of a claimed account in it. */
  readonly url?: string;
  /**
   * In place of `url`: a connection of amqplib that is there, or a function that gives one whenever it is needed. It
   * is never closed here.
   */
  readonly connection?: Exclude<ConnectionSource, string>;
  /** Taskcluster credentials, or a function that gives the present ones; for the methods that need a signature. */
  readonly credentials?: ClientCredentials | (() => ClientCredentials | Promise<ClientCredentials>);
  /** The agent's id; `pulse-agent` when absent. */
  readonly id?: string;
  /** The audience that the agent expects in signatures; `pulse-agent` when absent. */
  readonly audience?: string;
  /** How long a call may take with all its tries, in ms; 30 seconds when absent. */
  readonly timeoutMs?: number;
  /** Closes the client when it is aborted. */
  readonly signal?: AbortSignal;
  /** Clocks and chance, for tests. */
  readonly time?: Time;
}

/** What one call may have of its own. */
export interface CallOptions {
  /** In place of the client's. */
  readonly timeoutMs?: number;
  /** Ends the call; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

interface InnerOptions extends CallOptions {
  readonly conflictsAreFinal?: boolean;
}

/** What is claimed. */
export interface ClaimRequest {
  readonly namespace: string;
  /** When it may be deleted; omitted: the agent's default lifetime from now, at least. A claim never shortens it. */
  readonly expires?: Date | string;
  /** The mail address that is told about overgrown queues. Omitted, the stored one stays; null clears it. */
  readonly contact?: string | null;
}

/** What is claimed for as long as a lease is held. */
export interface LeaseRequest extends Omit<ClaimRequest, 'expires'> {
  /**
   * An instant at which the lease ends, too, or a function that gives one at each claim. Omitted: each claim makes it
   * the agent's default lifetime from then.
   */
  readonly expires?: Date | string | (() => Date | string);
}

/** A namespace as anybody may see it. */
export type Namespace = ResultBody<'get-namespace'>;
/** The result of a claim; `connectionString` is a secret. */
export type Claim = ResultBody<'claim-namespace'>;

/** An agent answers within 10 seconds or not at all. */
const TRY_TIMEOUT_MS = 15_000;
const CALL_TIMEOUT_MS = 30_000;

/**
 * A client of Pulse Agent. It connects when it has something to send, reconnects by itself, seals every claim with a
 * key of its own, and sends again, signed anew, what can succeed later, until the time for the call is over.
 *
 * All methods reject with a {@link PulseAgentError}, which has a `code` and says whether it is `retryable`.
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

  /** @throws TypeError when there is not exactly one of `url` and `connection`. */
  constructor(options: ClientOptions) {
    const source = options.url ?? options.connection;
    if (source === undefined || (options.url !== undefined && options.connection !== undefined)) {
      throw new TypeError('A PulseAgentClient needs either a url or a connection.');
    }
    this.#options = options;
    this.#time = options.time ?? systemTime;
    this.#connection = this.#connectionTo(source);
    const { signal } = options;
    if (signal?.aborted) void this.close();
    else signal?.addEventListener('abort', () => void this.close(), { once: true });
  }

  /** Asks an agent for a sign of life. */
  async ping(options: CallOptions = {}): Promise<ResultBody<'ping'>> {
    return await this.#call('ping', {}, options);
  }

  /** Claims a namespace, or claims it again. */
  async claimNamespace(request: ClaimRequest, options: CallOptions = {}): Promise<Claim> {
    return await this.#call('claim-namespace', claimBody(request), options);
  }

  /** Tells about one namespace. */
  async getNamespace(namespace: string, options: CallOptions = {}): Promise<Namespace> {
    return await this.#call('get-namespace', { namespace }, options);
  }

  /** All namespaces, sorted by name; pages are asked for as they are needed. */
  async *listNamespaces(options: CallOptions & { readonly pageSize?: number } = {}): AsyncGenerator<Namespace> {
    const { pageSize: limit } = options;
    let continuationToken: string | undefined;
    do {
      const page = await this.#call(
        'list-namespaces',
        {
          ...(limit === undefined ? {} : { limit }),
          ...(continuationToken === undefined ? {} : { continuationToken }),
        },
        options,
      );
      yield* page.namespaces;
      continuationToken = page.continuationToken;
    } while (continuationToken !== undefined);
  }

  /** Ends a namespace now, with all that it owns. */
  async releaseNamespace(namespace: string, options: CallOptions = {}): Promise<ResultBody<'release-namespace'>> {
    return await this.#call('release-namespace', { namespace }, options);
  }

  /** Makes all credentials of a namespace useless. With `until`, claims are refused until then. */
  async revokeNamespace(
    namespace: string,
    options: CallOptions & { readonly until?: Date | string } = {},
  ): Promise<ResultBody<'revoke-namespace'>> {
    const { until } = options;
    return await this.#call(
      'revoke-namespace',
      { namespace, ...(until === undefined ? {} : { until: instantOf(until) }) },
      options,
    );
  }

  /**
   * Claims a namespace, and claims it again in time until the lease is stopped.
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
    const { namespace, contact, expires } = request;
    const rest = contact === undefined ? { namespace } : { namespace, contact };
    const body = (): RpcInput<'claim-namespace'> => {
      const instant = typeof expires === 'function' ? expires() : expires;
      return claimBody(instant === undefined ? rest : { ...rest, expires: instant });
    };
    const first = await this.#call('claim-namespace', body(), options);
    const lease = new Lease(first, {
      // What is being deleted or revoked is lost, even if it can be had anew in a moment.
      claim: (signal) => this.#call('claim-namespace', body(), { signal, conflictsAreFinal: true }),
      claimWith: (connectionString, signal) => this.#claimWith(connectionString, body(), signal),
      release: () => this.releaseNamespace(namespace),
      stopped: (ended) => void this.#leases.delete(ended),
      time: this.#time,
    });
    this.#leases.add(lease);
    if (this.#closing.signal.aborted) await lease.stop();
    return lease;
  }

  /** Stops the leases without releasing them, ends the calls under way, and closes what was opened. */
  async close(): Promise<void> {
    this.#closing.abort(new ClientClosed('The client is closed.'));
    for (const lease of this.#leases) await lease.stop();
    await this.#connection.close();
  }

  #connectionTo(source: ConnectionSource): RpcConnection {
    const { id, audience } = this.#options;
    return new RpcConnection(source, {
      ...(id === undefined ? {} : { id }),
      ...(audience === undefined ? {} : { audience }),
      nowMs: () => this.#time.nowMs(),
    });
  }

  /** One claim over a connection with a claimed account's own credentials. */
  async #claimWith(
    connectionString: string,
    body: RpcInput<'claim-namespace'>,
    signal: AbortSignal,
  ): Promise<ResultBody<'claim-namespace'>> {
    const connection = this.#connectionTo(connectionString);
    try {
      return await this.#call('claim-namespace', body, { signal, conflictsAreFinal: true }, connection);
    } finally {
      await connection.close();
    }
  }

  async #call<M extends MethodName>(
    method: M,
    body: RpcInput<M>,
    { timeoutMs = this.#options.timeoutMs ?? CALL_TIMEOUT_MS, signal, conflictsAreFinal = false }: InnerOptions,
    connection = this.#connection,
  ): Promise<ResultBody<M>> {
    const untilMs = this.#time.monotonicMs() + timeoutMs;
    const leftMs = (): number => untilMs - this.#time.monotonicMs();
    const stopped = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    const late = AbortSignal.timeout(Math.ceil(timeoutMs));
    const ended = AbortSignal.any([stopped, late]);
    let latest: unknown;
    for (let failures = 1; ; failures += 1) {
      try {
        const credentials = await this.#credentials();
        return await connection.use((rpc) => {
          // Not ended by `late`, but by its own time-out: that knows that the request was sent.
          const tryMs = Math.min(TRY_TIMEOUT_MS, leftMs());
          return rpc.request(method, body, stopped, { timeoutMs: tryMs, ...credentials });
        }, ended);
      } catch (error) {
        // The end of the time says less than what went wrong before it.
        if (!late.aborted || error !== late.reason) latest = error;
        const nowMs = this.#time.nowMs();
        const failed = { error, method, failures, leftMs: leftMs(), nowMs, random: this.#time.random() };
        const isFinal = conflictsAreFinal && error instanceof WireError && error.code === 'RequestConflict';
        const pauseMs = ended.aborted || isFinal ? undefined : decideRetry(failed);
        if (pauseMs !== undefined) await this.#time.sleep(pauseMs, ended).catch(() => undefined);
        stopped.throwIfAborted();
        if (pauseMs !== undefined && !late.aborted) continue;
        throw toClientError(latest, nowMs) ?? new Unavailable('Unavailable', 'RabbitMQ did not answer in time.');
      }
    }
  }

  async #credentials(): Promise<{ credentials?: ClientCredentials }> {
    const { credentials } = this.#options;
    if (credentials === undefined) return {};
    return { credentials: typeof credentials === 'function' ? await credentials() : credentials };
  }
}

function claimBody({ namespace, expires, contact }: ClaimRequest): RpcInput<'claim-namespace'> {
  return {
    namespace,
    ...(expires === undefined ? {} : { expires: instantOf(expires) }),
    ...(contact === undefined ? {} : { contact }),
  };
}

function instantOf(instant: Date | string): string {
  return typeof instant === 'string' ? instant : formatInstant(instant.getTime());
}
