import { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { closeRpcConnection, connectToOne } from './amqp-connection.ts';
import { BrokerAddresses } from './broker-addresses.ts';
import { ClientClosed, toClientError } from './client-errors.ts';
import { jitteredBackoffMs } from './decide-retry.ts';
import { OpenedConnection } from './opened-connection.ts';
import { unlessAborted } from './rpc-connection.ts';
import type { Time } from './time.ts';

/** Makes channels, queues and consumers on a new connection, and returns what the program uses of them. */
export type ConnectionSetup<Session> = (connection: ChannelModel) => Session | Promise<Session>;

/** Options of {@link Lease.connect}. */
export interface LeaseConnectionOptions {
  /** Opens a connection to one address in place of the library: for a client certificate, client properties, or a heartbeat. */
  readonly open?: (connectionString: string) => Promise<ChannelModel>;
  /**
   * Whether the next connection is set up while the one before still consumes; true when absent. With false that one is
   * closed first, as exclusive queues and consumers need it.
   */
  readonly overlap?: boolean;
  /** How long a connection that is replaced or closed may take to finish what it has begun, in ms; 10 s when absent. */
  readonly drainMs?: number;
}

/** The events of a connection of a lease. They are for the log, and hold no credentials. */
export interface LeaseConnectionEvents {
  /** The next connection is open and set up. `replaced`: it took over from one that was open. */
  connected: [{ readonly replaced: boolean }];
  /** The connection was lost: RabbitMQ, the agent or the network ended it. The next one is opened at `retryAt`. */
  disconnected: [{ readonly error: Error; readonly retryAt: Date }];
  /**
   * RabbitMQ closed a channel or cancelled a consumer, or the next connection was not opened or set up. The next attempt is
   * at `retryAt`.
   */
  failing: [{ readonly error: Error; readonly failures: number; readonly retryAt: Date }];
}

/** What a connection needs of its lease. */
export interface LeaseConnectionParts {
  /** Claims before a new connection: the credentials may have been revoked. */
  claimAgain(): Promise<void>;
  /** AMQP URLs with the credentials that the lease has now, one for each address of RabbitMQ. */
  urls(): readonly string[];
  /** Called when the connection is closed. */
  onClosed(): void;
  /** Aborts when the lease is lost or stopped, with the reason. */
  readonly over: AbortSignal;
  readonly time: Time;
}

interface Opened<Session> {
  readonly connection: OpenedConnection;
  readonly session: Session;
}

/** The pauses before another connection after one that failed or was lost, in ms. */
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;

/** The loss of a connection that has lasted this long does not lengthen the pause, in ms. */
const STABLE_MS = 10_000;

const DRAIN_MS = 10_000;

/**
 * A connection that lasts as long as its lease. {@link Lease.connect} returns one.
 *
 * It is replaced when the lease has other credentials, before the agent closes it for its age, and when it is lost. What
 * has begun on a connection that is replaced is finished before it is closed.
 *
 * Not amqplib's recovery: that one keeps the URL of its start, reconnects only after a loss, and leaves an error during
 * its `setup` without a listener, which ends the process.
 */
export class LeaseConnection<Session> extends EventEmitter<LeaseConnectionEvents> {
  readonly #setup: ConnectionSetup<Session>;
  readonly #parts: LeaseConnectionParts;
  readonly #options: LeaseConnectionOptions;
  readonly #closing = new AbortController();
  #addresses: BrokerAddresses | undefined;
  readonly #retiring = new Set<Promise<void>>();
  readonly #waiters = new Set<() => void>();
  #current: Opened<Session> | undefined;
  #openedMs = 0;
  #failures = 0;
  /** How long to wait before the next connection; undefined: no trouble. */
  #pauseMs: number | undefined;
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #closed: Promise<void> | undefined;

  /** @internal */
  constructor(setup: ConnectionSetup<Session>, parts: LeaseConnectionParts, options: LeaseConnectionOptions) {
    super();
    this.#setup = setup;
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Opens the first connection.
   *
   * @internal
   * @throws PulseAgentError if it cannot be opened; what `setup` throws
   */
  async start(): Promise<this> {
    const { over } = this.#parts;
    over.throwIfAborted();
    over.addEventListener('abort', () => void this.close(), { once: true, signal: this.#closing.signal });
    this.#take(await this.#open());
    this.#running = this.#keep();
    return this;
  }

  /**
   * Replaces the connection if the lease has other credentials now.
   *
   * @internal
   */
  checkCredentials(): void {
    this.#wake();
  }

  /**
   * Runs `work` with what `setup` has returned for the open connection, and keeps that connection open until `work` has
   * settled. Without an open connection it waits for the next. If the connection is lost meanwhile, `work` runs again on
   * the next one, so a message that was published without a confirmation may be published twice.
   *
   * @throws what `work` throws; LeaseLost or ClientClosed if there is no next connection; the reason of the signal
   */
  async use<Result>(
    work: (session: Session) => Result | Promise<Result>,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Result> {
    for (;;) {
      const { connection, session } = await this.#untilOpen(signal);
      try {
        return await connection.run(() => work(session), signal);
      } catch (error) {
        // amqplib fails what waits for a lost connection before it reports the loss.
        await nextTurn();
        signal?.throwIfAborted();
        if (!connection.hasEnded) throw error;
      }
    }
  }

  /**
   * Closes the connection when it has finished what it has begun: consumers are cancelled, delivered messages can still be
   * acknowledged, and published ones are confirmed. The lease goes on.
   */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    const { over } = this.#parts;
    this.#closing.abort(over.aborted ? over.reason : new ClientClosed('The connection is closed.'));
    this.#changed();
    await this.#running;
    if (this.#current !== undefined) void this.#retire(this.#current);
    await Promise.all(this.#retiring);
    this.#parts.onClosed();
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (!this.#isDue()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const pauseMs = this.#pauseMs ?? 0;
      this.#pauseMs = undefined;
      if (pauseMs > 0) await this.#parts.time.sleep(pauseMs, signal).catch(() => undefined);
      if (!signal.aborted) await this.#replace(pauseMs === 0);
    }
  }

  /** Whether the next connection has to be opened. */
  #isDue(): boolean {
    if (this.#current === undefined || this.#pauseMs !== undefined) return true;
    return this.#current.connection.connectionString !== this.#parts.urls()[0];
  }

  async #replace(isPlanned: boolean): Promise<void> {
    const before = this.#current;
    try {
      if (before !== undefined && this.#options.overlap === false) await this.#retire(before);
      const next = await this.#open();
      const replaced = before !== undefined && !before.connection.hasEnded;
      this.#take(next);
      this.#emitLater('connected', { replaced });
      if (before !== undefined) void this.#retire(before);
      if (isPlanned) this.#failures = 0;
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#failed(error as Error);
    }
  }

  #take(opened: Opened<Session>): void {
    this.#current = opened;
    this.#openedMs = this.#parts.time.monotonicMs();
    this.#changed();
    // It may have ended between the end of its set-up and now.
    if (opened.connection.hasEnded) this.#lost(opened.connection, new Error('The connection was lost.'));
  }

  async #open(): Promise<Opened<Session>> {
    const { signal } = this.#closing;
    await this.#parts.claimAgain();
    const urls = this.#parts.urls();
    const [connectionString = ''] = urls;
    const { open = connectToOne } = this.#options;
    this.#addresses ??= new BrokerAddresses(urls.length);
    const openOne = async (url: string): Promise<ChannelModel> => {
      const opening = open(url);
      return await unlessAborted(opening, signal).catch((error: unknown) => {
        void opening.then(closeRpcConnection, () => undefined);
        throw toClientError(error, this.#parts.time.nowMs());
      });
    };
    const { connection: model } = await this.#addresses.connect(urls, openOne, signal);
    const connection: OpenedConnection = new OpenedConnection(model, connectionString, {
      onEnded: (error) => this.#lost(connection, error),
      onChannelError: (error) => {
        if (this.#current?.connection === connection && this.#pauseMs === undefined) this.#failed(error, true);
      },
    });
    try {
      return { connection, session: await connection.run(() => this.#setup(model), signal) };
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  #lost(connection: OpenedConnection, error: Error): void {
    if (this.#current?.connection !== connection) return;
    this.#current = undefined;
    if (!this.#closing.signal.aborted) this.#emitLater('disconnected', { error, retryAt: this.#pauseAfter(true) });
    this.#changed();
  }

  #failed(error: Error, wasOpen = false): void {
    const retryAt = this.#pauseAfter(wasOpen);
    this.#emitLater('failing', { error, failures: this.#failures, retryAt });
    this.#wake();
  }

  /** @returns when the next connection is opened. The pauses grow until a connection has lasted. */
  #pauseAfter(wasOpen: boolean): Date {
    const { time } = this.#parts;
    if (wasOpen && time.monotonicMs() - this.#openedMs >= STABLE_MS) this.#failures = 0;
    this.#failures += 1;
    this.#pauseMs = jitteredBackoffMs(this.#failures, time.random(), FIRST_PAUSE_MS, MAX_PAUSE_MS);
    return new Date(time.nowMs() + this.#pauseMs);
  }

  /** Closes a connection when it has finished what it has begun. It never rejects. */
  async #retire(opened: Opened<Session>): Promise<void> {
    const { drainMs = DRAIN_MS } = this.#options;
    const onQuiet = (): void => {
      if (this.#current !== opened) return;
      this.#current = undefined;
      this.#changed();
    };
    const retiring = opened.connection.retire(this.#parts.time, drainMs, onQuiet);
    this.#retiring.add(retiring);
    await retiring;
    this.#retiring.delete(retiring);
  }

  async #untilOpen(signal: AbortSignal | undefined): Promise<Opened<Session>> {
    for (;;) {
      signal?.throwIfAborted();
      if (this.#current !== undefined) return this.#current;
      this.#closing.signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiters.delete(wake);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiters.add(wake);
        signal?.addEventListener('abort', wake);
      });
    }
  }

  /** Wakes those who wait for a connection, or for the need of another one. */
  #changed(): void {
    this.#wake();
    for (const wake of this.#waiters) wake();
  }

  /** In the next tick, so that an exception of a listener does not end the upkeep. */
  #emitLater<E extends keyof LeaseConnectionEvents>(event: E, ...values: LeaseConnectionEvents[E]): void {
    process.nextTick(() => (this as EventEmitter).emit(event, ...values));
  }
}
