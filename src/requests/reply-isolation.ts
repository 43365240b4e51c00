import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { OnDemandConnection } from '../broker/amqp/on-demand-connection.ts';
import type { RequesterNodes } from '../broker/management/requester-nodes.ts';
import type { Clock, Sleep } from '../util/clock.ts';
import { waitAtMost } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';
import { NACKED, type Pending } from './outgoing.ts';

/** How long a listing of the nodes is waited for, in ms. */
export const LISTING_PATIENCE_MS = 1000;

/** The pause before the separate connection is opened again when it was lost for a reason of its own, in ms. */
const RETRY_MS = 1000;

/**
 * The messages in a row that close the separate connection before their node counts as gone, while the nodes cannot be
 * listed: one forged address must not cost other clients of its node their replies.
 */
const MAX_DEATHS = 3;

/** AMQP close codes that a message cannot have caused: normal shutdown, and closed by an operator. */
const NOT_THE_MESSAGE = new Set([200, 320]);

/** Whether a message may have closed the connection, given what amqplib says about its end. */
export function mayBeOfMessage(error: Partial<Error & { readonly code: unknown }> | undefined): boolean {
  return typeof error?.code === 'number' && !NOT_THE_MESSAGE.has(error.code);
}

/** What {@link ReplyIsolation} works with. */
export interface ReplyIsolationParts {
  /** The separate connection. */
  readonly connection: OnDemandConnection;
  readonly nodes: Pick<RequesterNodes, 'runs' | 'listAgain'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly sleep: Sleep;
  readonly log: Log;
}

interface Suspicion {
  /** When a connection was last closed by what may have been a message to the node. */
  readonly sinceMs: number;
  /** How many messages closed the separate connection in a row. */
  readonly deaths: number;
}

/**
 * Finds out which of several messages closed the reply connection, without a delay for others: sends them one at a time
 * over a separate connection, after replies to nodes that are down were dropped. What else is sent to their nodes comes here
 * as well until a listing of the nodes, or a confirm, shows that the node runs.
 */
export class ReplyIsolation {
  readonly #parts: ReplyIsolationParts;
  readonly #stopped = new AbortController();
  readonly #queue = new Set<Pending>();
  readonly #suspicions = new Map<number | undefined, Suspicion>();
  #listing: Promise<boolean> = Promise.resolve(true);
  #isRunning = false;
  #sending: Pending | undefined;
  #channel: { readonly model: ChannelModel; readonly channel: ConfirmChannel } | undefined;

  constructor(parts: ReplyIsolationParts) {
    this.#parts = parts;
  }

  /** One of these closed the reply connection just now. */
  suspect(messages: readonly Pending[]): void {
    const sinceMs = this.#parts.clock.monotonicMs();
    for (const message of messages) {
      this.#queue.add(message);
      this.#suspicions.set(hashOf(message), { sinceMs, deaths: this.#suspicions.get(hashOf(message))?.deaths ?? 0 });
    }
    this.#listing = this.#listAgain();
    this.#start();
  }

  /** Takes a message to a node under suspicion. */
  takes(message: Pending): boolean {
    if (this.#suspicions.size === 0 || this.#suspicionOf(hashOf(message)) === undefined) return false;
    this.#queue.add(message);
    this.#start();
    return true;
  }

  /** Settles those of the messages whose requester is gone, and returns the others. */
  withoutGone(messages: Iterable<Pending>): Pending[] {
    const kept: Pending[] = [];
    for (const message of messages) {
      const { node } = message.message;
      const isGone = node !== undefined && this.#parts.nodes.runs(node) === false;
      if (isGone) message.settle('requester-gone');
      else kept.push(message);
    }
    return kept;
  }

  /** A message has no outcome in time. Returns whether it was here. */
  giveUp(message: Pending): boolean {
    if (this.#sending === message) void this.#parts.connection.close();
    return this.#queue.delete(message);
  }

  /** Sends nothing more, and returns what has no outcome yet. */
  stop(): readonly Pending[] {
    this.#stopped.abort();
    const left = [...this.#queue];
    this.#queue.clear();
    return left;
  }

  /** Closes the connection, by force if the broker does not answer. */
  async close(): Promise<void> {
    await this.#parts.connection.close();
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // Only the abort of a stopping agent ends a wait.
    this.#run().catch(() => undefined);
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.size > 0) {
        const next = await this.#decideNext();
        if (this.#stopped.signal.aborted) return;
        if (next !== undefined) await this.#sendAlone(next);
      }
    } finally {
      // In the same turn as the queue was found empty: what comes later starts another run.
      this.#isRunning = false;
    }
  }

  /** Settles what needs not be sent; returns what is sent next. */
  async #decideNext(): Promise<Pending | undefined> {
    // Before it nothing is sent: it shows which requesters are gone.
    await this.#listing;
    this.#dropGone();
    const next = this.#next(0);
    if (next !== undefined || this.#queue.size === 0) return next;
    const isListed = await this.#listAgain();
    this.#dropGone();
    if (isListed) return this.#next(0);
    this.#refuseConvicted();
    return this.#next(MAX_DEATHS - 1);
  }

  #dropGone(): void {
    const kept = new Set(this.withoutGone(this.#queue));
    const dropped = this.#queue.size - kept.size;
    if (dropped === 0) return;
    for (const message of this.#queue) if (!kept.has(message)) this.#queue.delete(message);
    this.#parts.log.warn(
      { code: 'replies_dropped', dropped },
      'replies were dropped: the node of their requesters is down',
    );
  }

  /**
   * A message to a node with at most `maxDeaths` deaths: the oldest one. After a death it is the newest one, because one sender
   * has its messages side by side.
   */
  #next(maxDeaths: number): Pending | undefined {
    const candidates = [...this.#queue].filter((message) => this.#deathsOf(hashOf(message)) <= maxDeaths);
    return candidates.at(candidates[0] === undefined || this.#deathsOf(hashOf(candidates[0])) === 0 ? 0 : -1);
  }

  /** How many messages to the node closed the separate connection in a row; no more are tried when it is known to be down. */
  #deathsOf(hash: number | undefined): number {
    const suspicion = this.#suspicionOf(hash);
    if (suspicion === undefined || hash === undefined) return 0;
    return this.#parts.nodes.runs({ hash, sinceMs: suspicion.sinceMs }) === false ? MAX_DEATHS : suspicion.deaths;
  }

  /** It cannot be known whether these nodes run, and one message after the other closes the connection. */
  #refuseConvicted(): void {
    for (const message of this.#queue) {
      if (this.#deathsOf(hashOf(message)) < MAX_DEATHS) continue;
      this.#queue.delete(message);
      message.settle('refused');
    }
    // The next message to such a node is tried: it may have been started again.
    for (const [hash, { sinceMs, deaths }] of this.#suspicions) {
      if (deaths >= MAX_DEATHS) this.#suspicions.set(hash, { sinceMs, deaths: MAX_DEATHS - 1 });
    }
  }

  #suspicionOf(hash: number | undefined): Suspicion | undefined {
    const suspicion = this.#suspicions.get(hash);
    if (suspicion === undefined) return undefined;
    if (hash !== undefined && this.#parts.nodes.runs({ hash, sinceMs: suspicion.sinceMs }) !== true) return suspicion;
    this.#suspicions.delete(hash);
    return undefined;
  }

  async #sendAlone(message: Pending): Promise<void> {
    this.#sending = message;
    const sentAtMs = this.#parts.clock.monotonicMs();
    const outcome = await this.#parts.connection
      .use((model) => this.#publish(model, message))
      .catch(() => 'lost' as const);
    this.#sending = undefined;
    const known = this.#suspicions.get(hashOf(message));
    if (outcome === 'lost') {
      if (!message.isDone) await this.#parts.sleep(RETRY_MS, this.#stopped.signal);
      return;
    }
    if (this.#queue.delete(message)) message.settle(outcome === 'confirmed' ? 'confirmed' : 'refused');
    if (outcome === 'killed') {
      const sinceMs = this.#parts.clock.monotonicMs();
      this.#suspicions.set(hashOf(message), { sinceMs, deaths: (known?.deaths ?? 0) + 1 });
    } else if (known !== undefined && known.sinceMs <= sentAtMs) this.#suspicions.delete(hashOf(message));
  }

  async #publish(model: ChannelModel, { message }: Pending): Promise<'confirmed' | 'refused' | 'killed' | 'lost'> {
    const channel = await this.#channelOf(model);
    return await new Promise((resolve) => {
      const onClose = (error?: Error & { code?: number }): void => {
        this.#parts.log.warn(
          { code: 'reply_connection_lost', err: error, unconfirmed: 1, isolated: true },
          'lost the separate reply connection',
        );
        resolve(mayBeOfMessage(error) ? 'killed' : 'lost');
      };
      model.once('close', onClose);
      const end = (outcome: 'confirmed' | 'refused' | 'lost'): void => {
        model.removeListener('close', onClose);
        resolve(outcome);
      };
      try {
        channel.publish(
          message.exchange,
          message.routingKey,
          message.content,
          message.options,
          (error: Error | null) => {
            if (error === null) end('confirmed');
            else if (error.message === NACKED) end('refused');
            // Its connection closes in this turn, or the channel alone did.
            else setImmediate(end, 'lost');
          },
        );
      } catch {
        end('lost');
      }
    });
  }

  async #channelOf(model: ChannelModel): Promise<ConfirmChannel> {
    if (this.#channel?.model === model) return this.#channel.channel;
    const channel = await model.createConfirmChannel();
    channel.on('error', (error: Error) =>
      this.#parts.log.warn({ code: 'reply_channel_error', err: error }, 'error on the separate reply channel'),
    );
    channel.once('close', () => (this.#channel = undefined));
    this.#channel = { model, channel };
    return channel;
  }

  /** Whether the nodes were listed in time. */
  async #listAgain(): Promise<boolean> {
    let isListed = false;
    const listed = this.#parts.nodes.listAgain().then((isKnown) => (isListed = isKnown));
    await waitAtMost(LISTING_PATIENCE_MS, listed);
    return isListed;
  }
}

/** The hash of the name of the receiver's node; undefined for a dead letter. */
function hashOf({ message }: Pending): number | undefined {
  return message.node?.hash;
}
