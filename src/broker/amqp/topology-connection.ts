import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../../util/agent-errors.ts';
import { backoffMs, retry } from '../../util/retry.ts';
import { createEventPublisher } from './event-publisher.ts';
import type { PublishEvent } from './event-publisher.ts';
import { ensureLimitPolicies } from '../policies.ts';
import type { Management } from '../management/management.ts';
import { vhostOf } from './rascal-connection.ts';
import { openTopologySession } from './topology-session.ts';
import type { TopologySession, TopologySessionOptions } from './topology-session.ts';

/** What {@link createTopologyConnection} needs. */
export interface TopologyConnectionOptions extends TopologySessionOptions {
  readonly maxSkewSeconds: number;
  readonly management: Pick<Management, 'listPolicies' | 'putPolicy'>;
  /** How long an event may take, from the call to the broker's confirm. */
  readonly publishTimeoutMs?: number;
  /** The longest pause between two tries to connect again. */
  readonly maxReconnectDelayMs?: number;
  /** Faults that are got over by trying again; for the log. */
  readonly onError: (error: Error) => void;
}

/** The connection that declares the agent's own topology and publishes its events. */
export interface TopologyConnection {
  /** Whether there is a connection. */
  readonly connected: boolean;
  /**
   * Applies the limits, then declares the topology, in this order: the queues never exist without limits. Both are
   * repeated after each loss of the connection, since a broker may return empty.
   *
   * @throws AgentError `BrokerUnavailable`, `BrokerRefused`; the signal's reason.
   */
  start(signal?: AbortSignal): Promise<void>;
  readonly publishEvent: PublishEvent;
  /**
   * Calls `listener` after each time the connection was lost and is back, with the limits put and the topology declared
   * again. Returns the function that ends this.
   */
  onReconnect(listener: () => void): () => void;
  /**
   * Applies the limits and declares the topology once more, on a connection of its own: another client may have deleted
   * a part of it.
   *
   * @throws AgentError `BrokerUnavailable`, `BrokerRefused`; the signal's reason.
   */
  declareAgain(signal?: AbortSignal): Promise<void>;
  /** As {@link declareAgain}, unless this connection was opened, and so declared all, since the last call. */
  ensureDeclared(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const FIRST_RECONNECT_DELAY_MS = 250;

/** Creates the connection; {@link TopologyConnection.start} opens it. */
export function createTopologyConnection(settings: TopologyConnectionOptions): TopologyConnection {
  const vhost = vhostOf(settings.amqpUrl);
  const open = async (until: AbortSignal | undefined): Promise<TopologySession> => {
    await ensureLimitPolicies(settings.management, vhost, settings, until === undefined ? {} : { signal: until });
    until?.throwIfAborted();
    return await openTopologySession(settings, until);
  };

  const listeners = new Set<() => void>();
  const closing = new AbortController();
  // Every event that is under way listens to it.
  setMaxListeners(0, closing.signal);
  let present: Promise<TopologySession> | undefined;
  let connected = false;
  /** Whether the connection was opened since the last `ensureDeclared`. */
  let isFresh = false;
  const session = async (): Promise<TopologySession> => {
    if (present === undefined) throw new AgentError('BrokerUnavailable', 'The topology connection has not started.');
    return await present;
  };

  const publish = createEventPublisher({
    publish: async (message, overrides) => (await session()).publish(message, overrides),
    timeoutMs: settings.publishTimeoutMs ?? 10_000,
  });
  /** Tries until it is back; rejects when the broker is closed meanwhile. */
  const reopen = async (): Promise<TopologySession> => {
    const pauses = { firstMs: FIRST_RECONNECT_DELAY_MS, maxMs: settings.maxReconnectDelayMs ?? 5000 };
    const pause = (failures: number): Promise<void> =>
      delay(backoffMs(failures, pauses), undefined, { signal: closing.signal });
    await pause(1);
    return await retry(
      () => open(closing.signal),
      async (error, failures) => {
        closing.signal.throwIfAborted();
        settings.onError(asError(error));
        await pause(failures + 1);
      },
    );
  };
  /** Reconnects until `closing` aborts. */
  const keepConnected = async (): Promise<void> => {
    for (let current = await session(); ; ) {
      settings.onError(await current.lost);
      connected = false;
      void current.close();
      present = reopen();
      current = await present;
      connected = true;
      isFresh = true;
      for (const listener of listeners) listener();
    }
  };

  const declareAgain = async (until?: AbortSignal): Promise<void> => {
    await (await open(until)).close();
  };

  return {
    get connected() {
      return connected;
    },
    async start(signal) {
      present = Promise.resolve(await open(signal));
      connected = true;
      isFresh = true;
      void keepConnected().catch(() => undefined);
    },
    publishEvent: (event, until) =>
      publish(event, until === undefined ? closing.signal : AbortSignal.any([until, closing.signal])),
    onReconnect(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    declareAgain,
    async ensureDeclared(until) {
      if (!isFresh) await declareAgain(until);
      isFresh = false;
    },
    async close() {
      closing.abort(new AgentError('BrokerUnavailable', 'The agent stops: it publishes nothing any more.'));
      listeners.clear();
      const last = await present?.catch(() => undefined);
      await last?.close();
    },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
