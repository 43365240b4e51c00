import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError, asError } from '../../util/agent-errors.ts';
import { backoffMs, retry } from '../../util/retry.ts';
import { createEventPublisher } from './event-publisher.ts';
import type { PublishEvent } from './event-publisher.ts';
import { ensureLimitPolicies } from '../policies.ts';
import type { Management } from '../management/management.ts';
import { openTopologySession } from './topology-session.ts';
import type { TopologySession, TopologySessionOptions } from './topology-session.ts';

export interface TopologyConnectionOptions extends TopologySessionOptions {
  readonly maxSkewSeconds: number;
  readonly management: Pick<Management, 'listPolicies' | 'putPolicy'>;
  /** From the call to the broker's confirm, in ms; 10 seconds when absent. */
  readonly publishTimeoutMs?: number;
  /** The longest pause between two tries to reconnect, in ms; 5 seconds when absent. */
  readonly maxReconnectDelayMs?: number;
  /** The connection was lost, or a try to reconnect failed; the next try follows. */
  readonly onError: (error: Error) => void;
}

/** The connection that declares the agent's own topology and publishes its events. */
export interface TopologyConnection {
  /** Whether the connection is open. */
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
   * Calls `listener` after each reconnect, when limits and topology are in place again. Returns the function that removes
   * the listener.
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
export function createTopologyConnection(options: TopologyConnectionOptions): TopologyConnection {
  const { requestVhost } = options;
  const open = async (until: AbortSignal | undefined): Promise<TopologySession> => {
    await ensureLimitPolicies(options.management, requestVhost, options, until === undefined ? {} : { signal: until });
    until?.throwIfAborted();
    return await openTopologySession(options, until);
  };

  const listeners = new Set<() => void>();
  const closing = new AbortController();
  // Every event in flight listens to it.
  setMaxListeners(0, closing.signal);
  let current: Promise<TopologySession> | undefined;
  let connected = false;
  /** Whether the connection was opened since the last `ensureDeclared`. */
  let isFresh = false;
  const currentSession = async (): Promise<TopologySession> => {
    if (current === undefined) throw new AgentError('BrokerUnavailable', 'The topology connection has not started.');
    return await current;
  };

  const publish = createEventPublisher({
    publish: async (message, overrides) => (await currentSession()).publish(message, overrides),
    timeoutMs: options.publishTimeoutMs ?? 10_000,
  });
  /** Retries until it succeeds; rejects when this connection closes. */
  const reopen = async (): Promise<TopologySession> => {
    const pauses = { firstMs: FIRST_RECONNECT_DELAY_MS, maxMs: options.maxReconnectDelayMs ?? 5000 };
    const pause = (failures: number): Promise<void> =>
      delay(backoffMs(failures, pauses), undefined, { signal: closing.signal });
    await pause(1);
    return await retry(
      () => open(closing.signal),
      async (error, failures) => {
        closing.signal.throwIfAborted();
        options.onError(asError(error));
        await pause(failures + 1);
      },
    );
  };
  /** Reconnects until `closing` aborts. */
  const keepConnected = async (): Promise<void> => {
    for (let session = await currentSession(); ; ) {
      options.onError(await session.lost);
      connected = false;
      void session.close();
      current = reopen();
      session = await current;
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
      current = Promise.resolve(await open(signal));
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
      closing.abort(new AgentError('BrokerUnavailable', 'The agent stops and publishes no more events.'));
      listeners.clear();
      const last = await current?.catch(() => undefined);
      await last?.close();
    },
  };
}
