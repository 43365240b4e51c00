import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { closeRpcConnection, connectTo } from '../client/amqp-connection.ts';
import { WireError } from '../contract/wire-errors.ts';
import { EVENT_TYPES, isEventType } from '../contract/event-types.ts';
import type { AgentEvent } from '../contract/events.ts';
import { contractNames } from '../contract/names.ts';
import { CommandRefused, UsageFault } from './define-command.ts';

/** What to watch, and how. */
export interface WatchOptions {
  /** The agent's id. */
  readonly id: string;
  /** Routing keys, with `*` and `#`. */
  readonly patterns: readonly string[];
  /** The name of the queue; RabbitMQ generates one if it is empty. A claimed account may declare queues of its namespace only. */
  readonly queue: string;
  /** The AMQP URL, read before each connection. */
  url(): Promise<string>;
  /** CA certificates in PEM to trust instead of those of the system. */
  readonly ca?: string | undefined;
  /** Called for each connection once its queue is consumed. */
  readonly onReady: () => void;
  readonly onEvent: (event: AgentEvent) => void;
  /** Called when a connection was lost: events may be missed until the next `onReady`. */
  readonly onLost: () => void;
}

/** The time between two attempts to connect, in ms. */
const RECONNECT_MS = 2000;

/**
 * The binding patterns for events of some types and namespaces.
 *
 * @param types types, or the first word of a type for all types that begin with it; empty: all types
 * @param namespaces empty: all namespaces, and events about agents and the broker
 * @throws UsageFault when a type does not exist
 * @example
 * eventPatterns(['queue', 'namespace.expired'], ['taskcluster-x']); // ['queue.*.taskcluster-x', 'namespace.expired.taskcluster-x']
 */
export function eventPatterns(types: readonly string[], namespaces: readonly string[]): string[] {
  const kinds = new Set(Object.keys(EVENT_TYPES).map((type) => type.split('.')[0] ?? ''));
  const ofTypes = types.map((type) => {
    if (kinds.has(type)) return `${type}.*`;
    if (isEventType(type)) return type;
    throw new UsageFault(
      `There are no events of type ${type}: give one of ${[...kinds, ...Object.keys(EVENT_TYPES)].join(', ')}.`,
    );
  });
  return (ofTypes.length === 0 ? ['*.*'] : ofTypes).flatMap((type) =>
    (namespaces.length === 0 ? ['*'] : namespaces).map((namespace) => `${type}.${namespace}`),
  );
}

/**
 * Consumes agent events until the signal is aborted. A lost connection is opened again; the first one must succeed.
 *
 * @throws WireError `Unavailable` or CommandRefused when the first connection fails
 */
export async function watchEvents(options: WatchOptions, signal: AbortSignal): Promise<void> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      const connection = await connectTo(await options.url(), { ca: options.ca });
      const closed = new Promise((resolve) => connection.once('close', resolve));
      try {
        await consumeEvents(connection, options);
        isFirst = false;
        options.onReady();
        await Promise.race([closed, aborted(signal)]);
      } finally {
        if (signal.aborted || isFirst) await closeRpcConnection(connection);
      }
      if (signal.aborted) return;
      options.onLost();
    } catch (error) {
      if (isFirst) throw error;
    }
    await delay(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function consumeEvents(connection: ChannelModel, { id, queue, patterns, onEvent }: WatchOptions): Promise<void> {
  const channel = await connection.createChannel();
  // A refused operation also rejects its call, with more detail.
  channel.on('error', () => undefined);
  const handle = (message: ConsumeMessage | null): void => {
    // The queue was deleted: start again on another connection.
    if (message === null) void closeRpcConnection(connection);
    const event = message === null ? undefined : eventIn(message.content);
    if (event !== undefined) onEvent(event);
  };
  try {
    const { queue: name } = await channel.assertQueue(queue, { exclusive: true, autoDelete: true, durable: false });
    for (const pattern of patterns) await channel.bindQueue(name, contractNames(id).eventsExchange, pattern);
    await channel.consume(name, handle, { noAck: true });
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 404) throw new WireError('Unavailable', `No agent with the id ${id} has run in this vhost.`);
    if (code === 403) {
      throw new CommandRefused(
        `RabbitMQ does not allow this user to declare a queue and read agent events: give a namespace of yours with --through, or set RABBITMQ_URL to an account that may configure and write queues named amq.gen-… and read exchange/${id}/v1/events. That of an agent may not.`,
        { cause: error },
      );
    }
    throw error;
  }
}

/** Undefined for a message that is no agent event; only agents may publish here, but the content is not trusted. */
function eventIn(content: Buffer): AgentEvent | undefined {
  try {
    const event = JSON.parse(content.toString()) as Partial<AgentEvent> | null;
    return typeof event?.type === 'string' && typeof event.data === 'object' ? (event as AgentEvent) : undefined;
  } catch {
    return undefined;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
