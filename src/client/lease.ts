import { EventEmitter } from 'node:events';
import type { Claim } from '../contract/methods.ts';
import { decideAfterFailure, decideRenewal, heldBy, type HeldClaim } from './decide-lease.ts';
import {
  BrokerRefused,
  ClientClosed,
  ClockSkew,
  LeaseLost,
  type LossReason,
  type PulseAgentError,
  toPulseAgentError,
} from './client-errors.ts';
import { type ConnectionSetup, LeaseConnection, type LeaseConnectionOptions } from './lease-connection.ts';
import { type DueTime, dueAt, untilDueMs } from './due-time.ts';
import type { Time } from './time.ts';

/** How a lease claims. */
export interface LeaseParts {
  /** Claims again, with the client's retries. */
  claim(signal: AbortSignal): Promise<Claim>;
  /**
   * Claims over a connection with the current credentials.
   *
   * @param urls those of all addresses, with commas between
   * @throws BrokerRefused if RabbitMQ refuses them.
   */
  claimWith(urls: string, signal: AbortSignal): Promise<Claim>;
  release(): Promise<unknown>;
  onStopped(lease: Lease): void;
  readonly connectionDefaults?: LeaseConnectionOptions;
  readonly time: Time;
}

/** The events of a lease. They hold no credentials. */
export interface LeaseEvents {
  /** The lease was renewed. `changed`: the credentials differ from the ones before. */
  renewed: [{ readonly changed: boolean; readonly reclaimAt: Date; readonly expires: Date }];
  /** Renewing failed and is retried at `retryAt`. The credentials work until `reclaimAt`, at least. */
  failing: [
    { readonly error: PulseAgentError; readonly failures: number; readonly retryAt: Date; readonly reclaimAt: Date },
  ];
  /** The credentials can no longer be valid; the lease is over. */
  lost: [LeaseLost];
}

/** The credentials that `taskcluster-lib-pulse` asks for. */
export interface PulseCredentials {
  readonly connectionString: string;
  /** When to open a new connection. */
  readonly recycleAt: Date;
}

/** The longest sleep between two checks of the clocks, in ms: notices a suspended machine and a clock that was set. */
const CHECK_CLOCKS_MS = 30_000;

/** How long {@link Lease.credentials} returns the current credentials without claiming again, in ms. */
const FRESH_MS = 2000;

/** How long {@link Lease.credentials} waits for a claim before it returns the current credentials, in ms. */
const CLAIM_TIMEOUT_MS = 5000;

/** While no agent answers, a connection is used for at least this long, in ms. */
const RECYCLE_AFTER_MS = 300_000;

/**
 * A claim that is renewed in time, until the lease is stopped. `PulseAgentClient.lease` returns one.
 *
 * Listen to `lost`: the credentials no longer work, and only a new lease gets new ones. Without a listener, the loss is a
 * warning of the process. `failing` is for the log: the credentials still work.
 *
 * @example
 * lease.on('renewed', ({ changed, reclaimAt }) => console.log(changed, reclaimAt.toISOString()));
 */
export class Lease extends EventEmitter<LeaseEvents> {
  readonly #parts: LeaseParts;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  readonly #connections = new Set<Pick<LeaseConnection<unknown>, 'checkCredentials' | 'close'>>();
  #claim: Claim;
  #held: HeldClaim;
  #next: DueTime;
  #failures = 0;
  #handedOut = 0;
  /** Why the credentials no longer work. Those of a lease that was only stopped do. */
  #dead: PulseAgentError | undefined;
  #renewing: Promise<void> | undefined;
  #wake = new AbortController();

  /** @internal */
  constructor(first: Claim, parts: LeaseParts) {
    super();
    this.#parts = parts;
    this.#claim = first;
    this.#held = heldBy(first, parts.time.nowMs());
    this.#next = dueAt(decideRenewal(this.#held, parts.time.random()), parts.time);
    this.#running = this.#run();
  }

  /** The namespace. */
  get namespace(): string {
    return this.#claim.namespace;
  }

  /**
   * The AMQP URL with the current credentials. It is a secret.
   *
   * @throws LeaseLost if the lease is lost; ClientClosed if it was released.
   */
  get connectionString(): string {
    if (this.#dead !== undefined) throw this.#dead;
    return this.#claim.connectionString;
  }

  /**
   * AMQP URLs with the current credentials, one for each address of RabbitMQ: the first is `connectionString`. Secrets.
   *
   * @throws as `connectionString`
   */
  get connectionStrings(): readonly string[] {
    if (this.#dead !== undefined) throw this.#dead;
    return this.#urls;
  }

  get #urls(): readonly string[] {
    return this.#claim.connectionStrings ?? [this.#claim.connectionString];
  }

  /** Until when the current credentials work, at least. */
  get reclaimAt(): Date {
    return new Date(this.#held.reclaimMs);
  }

  /** When the namespace is deleted unless it is claimed again. */
  get expires(): Date {
    return new Date(this.#held.expiresMs);
  }

  /**
   * The credentials for a new connection. Pass this function to `taskcluster-lib-pulse`. It claims again first, because a
   * revocation may have closed the connection before; if no agent answers within 5 s, it returns the current credentials.
   * Where RabbitMQ has several addresses, each call returns the next one.
   *
   * @throws LeaseLost, or ClientClosed if the lease was stopped.
   */
  readonly credentials = async (): Promise<PulseCredentials> => {
    const { time } = this.#parts;
    await this.#claimAgain();
    const recycleMs = Math.max(this.#held.reclaimMs, this.#failures === 0 ? 0 : time.nowMs() + RECYCLE_AFTER_MS);
    const connectionString = this.#urls[this.#handedOut % this.#urls.length] ?? this.#claim.connectionString;
    this.#handedOut += 1;
    return { connectionString, recycleAt: new Date(recycleMs) };
  };

  /** Unless the last claim is a moment old. */
  async #claimAgain(): Promise<void> {
    const { time } = this.#parts;
    this.#throwIfOver();
    if (this.#failures === 0 && time.nowMs() - this.#held.claimedMs > FRESH_MS) {
      const waiting = new AbortController();
      const ended = AbortSignal.any([waiting.signal, this.#stopping.signal]);
      await Promise.race([this.#renew(), time.sleep(CLAIM_TIMEOUT_MS, ended).catch(() => undefined)]);
      waiting.abort();
      this.#throwIfOver();
    }
  }

  /**
   * Opens a connection that lasts as long as the lease. It is replaced when the lease has other credentials, before the
   * agent closes it for its age, and when it is lost. `setup` runs on each connection; what it returns is passed to `use`.
   *
   * Consumers can get a message a second time: acknowledge on the channel that delivered it, when its work is done.
   *
   * @example
   * const [exchange, queue] = ['exchange/taskcluster-builds/done', 'queue/taskcluster-builds/done'];
   * const connection = await lease.connect(async (amqp) => {
   *   const channel = await amqp.createConfirmChannel();
   *   await channel.assertExchange(exchange, 'topic');
   *   await channel.assertQueue(queue);
   *   await channel.bindQueue(queue, exchange, '#');
   *   await channel.consume(queue, (message) => message && channel.ack(message));
   *   return channel;
   * });
   * await connection.use(async (channel) => {
   *   channel.publish(exchange, 'builds.linux', Buffer.from('built'));
   *   await channel.waitForConfirms();
   * });
   *
   * @throws PulseAgentError if the first connection cannot be opened; what `setup` throws on it
   */
  async connect<Session>(
    setup: ConnectionSetup<Session>,
    options: LeaseConnectionOptions = {},
  ): Promise<LeaseConnection<Session>> {
    const connection: LeaseConnection<Session> = new LeaseConnection(
      setup,
      {
        claimAgain: () => this.#claimAgain(),
        urls: () => this.#urls,
        onClosed: () => void this.#connections.delete(connection),
        over: this.#stopping.signal,
        time: this.#parts.time,
      },
      { ...this.#parts.connectionDefaults, ...options },
    );
    this.#connections.add(connection);
    try {
      return await connection.start();
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /**
   * Stops renewing, and closes the connections of {@link connect}. With `release`, the namespace is released as well: the
   * agent deletes it and everything it owns.
   */
  async stop({ release = false }: { readonly release?: boolean } = {}): Promise<void> {
    this.#stopWith(new ClientClosed('The lease was stopped.'));
    await this.#running;
    await Promise.all([...this.#connections].map((connection) => connection.close()));
    if (!release) return;
    this.#dead ??= new ClientClosed('The lease was released.');
    await this.#parts.release();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const { time } = this.#parts;
      const leftMs = untilDueMs(this.#next, time);
      if (leftMs <= 0) {
        await this.#renew();
        continue;
      }
      this.#wake = new AbortController();
      // Not AbortSignal.any: each one would leave something behind in the signal that lives as long as the lease.
      await time.sleep(Math.min(leftMs, CHECK_CLOCKS_MS), this.#wake.signal).catch(() => undefined);
    }
  }

  /** One renewal at a time for all callers. It never rejects. */
  async #renew(): Promise<void> {
    this.#renewing ??= this.#renewOnce().finally(() => {
      this.#renewing = undefined;
      this.#wake.abort();
    });
    await this.#renewing;
  }

  async #renewOnce(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    try {
      this.#renewed(await this.#parts.claim(this.#stopping.signal));
    } catch (cause) {
      if (this.#stopping.signal.aborted) return;
      await this.#failed(toPulseAgentError(cause));
    }
  }

  #renewed(claim: Claim): void {
    if (this.#stopping.signal.aborted) return;
    const changed = claim.connectionString !== this.#claim.connectionString;
    this.#claim = claim;
    this.#held = heldBy(claim, this.#parts.time.nowMs());
    this.#failures = 0;
    this.#next = dueAt(decideRenewal(this.#held, this.#parts.time.random()), this.#parts.time);
    for (const connection of this.#connections) connection.checkCredentials();
    this.#emitLater('renewed', { changed, reclaimAt: this.reclaimAt, expires: this.expires });
  }

  async #failed(error: PulseAgentError): Promise<void> {
    const { time } = this.#parts;
    const attempt = await this.#claimAsHolder(error);
    if (this.#stopping.signal.aborted || attempt === 'renewed') return;
    this.#failures += 1;
    const decision = decideAfterFailure(this.#held, {
      code: attempt.error.code,
      failures: this.#failures,
      credentialsRefused: attempt.refused,
      nowMs: time.nowMs(),
      aheadMs: attempt.error instanceof ClockSkew ? attempt.error.aheadMs : undefined,
      random: time.random(),
    });
    if (decision.next === 'lost') {
      this.#lose(decision.reason, attempt.error);
      return;
    }
    this.#next = dueAt(decision.atMs, time);
    this.#emitLater('failing', {
      error: attempt.error,
      failures: this.#failures,
      retryAt: new Date(decision.atMs),
      reclaimAt: this.reclaimAt,
    });
  }

  /**
   * Claims with the current credentials if those of the client do not work: the claimant's password may have changed, or its
   * limit of connections may be reached. After `reclaimAt`, this also shows whether the current credentials still work.
   */
  async #claimAsHolder(error: PulseAgentError): Promise<'renewed' | { error: PulseAgentError; refused?: boolean }> {
    const isBeforeReclaim = this.#parts.time.nowMs() < this.#held.reclaimMs;
    if (isFinal(error) || (isBeforeReclaim && !(error instanceof BrokerRefused))) return { error };
    try {
      this.#renewed(await this.#parts.claimWith(this.#urls.join(), this.#stopping.signal));
      return 'renewed';
    } catch (own) {
      // Where RabbitMQ refuses the vhost or TLS fails, the credentials may be valid.
      const refused = own instanceof BrokerRefused && !['vhost', 'tls'].includes(own.details.refused ?? 'user');
      return { error: error instanceof BrokerRefused && !refused ? toPulseAgentError(own) : error, refused };
    }
  }

  #lose(reason: LossReason, cause: PulseAgentError): void {
    const lost = new LeaseLost(reason, this.namespace, cause);
    this.#stopWith(lost);
    this.#dead = lost;
    process.nextTick(() => {
      // A program that does not listen would go on without credentials.
      if (!this.emit('lost', lost)) process.emitWarning(lost);
    });
  }

  #stopWith(reason: PulseAgentError): void {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(reason);
    this.#wake.abort();
    this.#parts.onStopped(this);
  }

  /** In the next tick, so that an exception of a listener is not mistaken for a failed claim. */
  #emitLater<E extends keyof LeaseEvents>(event: E, ...values: LeaseEvents[E]): void {
    process.nextTick(() => (this as EventEmitter).emit(event, ...values));
  }

  #throwIfOver(): void {
    this.#stopping.signal.throwIfAborted();
  }
}

/** Whether the agent has taken the namespace away. */
function isFinal({ code }: PulseAgentError): boolean {
  return code === 'InsufficientScopes' || code === 'RequestConflict';
}
