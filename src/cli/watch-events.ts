import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { closeRpcConnection, connectTo } from '../client/rpc-connection.ts';
import { BrokerRefused } from '../client/client-errors.ts';
import { WireError } from '../contract/wire-errors.ts';
import { EVENT_TYPES, isEventType } from '../contract/event-types.ts';
import type { AgentEvent } from '../contract/events.ts';
import { contractNames } from '../contract/names.ts';
import { UsageFault } from './command.ts';

/** What is watched, and how. */
export interface Watched {
  /** The agent's id. */
  readonly id: string;
  /** Routing keys, with `*` and `#`. */
  readonly patterns: readonly string[];
  /** The name of the queue; RabbitMQ chooses one when it is empty. A claimed account may only have its namespace's. */
  readonly queue: string;
  /** The broker's address; asked for at each connection. */
  url(): Promise<string>;
  /** Certificates in PEM that are trusted instead of those of the system. */
  readonly ca?: string | undefined;
  /** Called once for each connection that is ready: events come from then on. */
  readonly onReady: () => void;
  readonly onEvent: (event: AgentEvent) => void;
  /** The connection was lost, and events with it; another is made. */
  readonly onLost: () => void;
}

/** Between two tries to connect, in ms. */
const PAUSE_MS = 2000;

/**
 * The routing keys that choose events by type and by what they are about.
 *
 * @param types whole types, or their first word for all of that kind; none: every type
 * @param namespaces none: every namespace, agent and broker
 * @throws UsageFault when there is no such type.
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
 * Hands over agent events as they come until the signal is aborted. A connection that is lost is made again; the first
 * one must succeed.
 *
 * @throws WireError `Unavailable`, or BrokerRefused, when the first connection cannot be made; what RabbitMQ refuses.
 */
export async function watchEvents(watched: Watched, signal: AbortSignal): Promise<void> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      const connection = await connectTo(await watched.url(), { ca: watched.ca });
      const closed = new Promise((resolve) => connection.once('close', resolve));
      try {
        await consumeEvents(connection, watched);
        isFirst = false;
        watched.onReady();
        await Promise.race([closed, aborted(signal)]);
      } finally {
        if (signal.aborted || isFirst) await closeRpcConnection(connection);
      }
      if (signal.aborted) return;
      watched.onLost();
    } catch (error) {
      if (isFirst) throw error;
    }
    await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function consumeEvents(connection: ChannelModel, { id, queue, patterns, onEvent }: Watched): Promise<void> {
  const channel = await connection.createChannel();
  // A refused operation rejects its call, which tells more.
  channel.on('error', () => undefined);
  const take = (message: ConsumeMessage | null): void => {
    // Its queue is gone, and with it what was to come: begun anew on another connection.
    if (message === null) void closeRpcConnection(connection);
    const event = message === null ? undefined : eventIn(message.content);
    if (event !== undefined) onEvent(event);
  };
  try {
    const { queue: name } = await channel.assertQueue(queue, { exclusive: true, autoDelete: true, durable: false });
    for (const pattern of patterns) await channel.bindQueue(name, contractNames(id).eventsExchange, pattern);
    await channel.consume(name, take, { noAck: true });
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 404) throw new WireError('Unavailable', `No agent with the id ${id} has run in this vhost.`);
    if (code === 403) throw new BrokerRefused('RabbitMQ does not let this user make a queue and read the events.');
    throw error;
  }
}

/** Everybody may read the exchange and only agents may write; what is none of theirs is passed over all the same. */
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
