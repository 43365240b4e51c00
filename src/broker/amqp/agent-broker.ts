import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../../util/agent-errors.ts';
import { createEventPublisher } from './event-publisher.ts';
import type { PublishEvent } from './event-publisher.ts';
import { ensureLimitPolicies } from '../policies.ts';
import type { Management } from '../management/management.ts';
import { vhostOf } from './rascal-connection.ts';
import { openRascalSession } from './rascal-session.ts';
import type { RascalSession, RascalSessionSettings } from './rascal-session.ts';

/** What {@link openAgentBroker} needs. */
export interface AgentBrokerSettings extends RascalSessionSettings {
  readonly maxSkewSeconds: number;
  readonly management: Pick<Management, 'listPolicies' | 'putPolicy'>;
  /** How long an event may take, from the call to the broker's confirm. */
  readonly publishTimeoutMs?: number;
  /** The longest pause between two tries to connect again. */
  readonly maxReconnectDelayMs?: number;
  /** Faults that are got over by trying again; for the log. */
  readonly onFault: (error: Error) => void;
}

/** The agent's own topology, kept, and its events, published. */
export interface AgentBroker {
  /** Whether there is a connection. */
  readonly connected: boolean;
  readonly publishEvent: PublishEvent;
  /**
   * Calls `listener` after each time the connection was lost and is back, with the limits put and the topology declared
   * again. Returns the function that ends this.
   */
  onReconnect(listener: () => void): () => void;
  /**
   * Puts the limits and declares the topology once more, beside the connection that is open: somebody may have deleted
   * a part of it.
   *
   * @throws AgentError `BrokerUnavailable`, `BrokerRefused`; the signal's reason.
   */
  declareAgain(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const FIRST_RECONNECT_DELAY_MS = 250;

/**
 * Puts the limits, then declares the topology, in this order: the queues never exist without limits. Both are done
 * again after each loss of the connection, since a broker may come back empty.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`; the signal's reason.
 */
export async function openAgentBroker(settings: AgentBrokerSettings, signal?: AbortSignal): Promise<AgentBroker> {
  const vhost = vhostOf(settings.amqpUrl);
  const open = async (until: AbortSignal | undefined): Promise<RascalSession> => {
    await ensureLimitPolicies(settings.management, vhost, settings, until === undefined ? {} : { signal: until });
    until?.throwIfAborted();
    return await openRascalSession(settings, until);
  };

  const listeners = new Set<() => void>();
  const closing = new AbortController();
  // Every event that is under way listens to it.
  setMaxListeners(0, closing.signal);
  let present = Promise.resolve(await open(signal));
  let connected = true;

  const publish = createEventPublisher({
    publish: async (message, overrides) => (await present).publish(message, overrides),
    timeoutMs: settings.publishTimeoutMs ?? 10_000,
  });
  /** Tries until it is back; rejects when the broker is closed meanwhile. */
  const reopen = async (): Promise<RascalSession> => {
    const maxDelayMs = settings.maxReconnectDelayMs ?? 5000;
    for (let delayMs = FIRST_RECONNECT_DELAY_MS; ; delayMs = Math.min(2 * delayMs, maxDelayMs)) {
      await delay(delayMs, undefined, { signal: closing.signal });
      try {
        return await open(closing.signal);
      } catch (error) {
        closing.signal.throwIfAborted();
        settings.onFault(asError(error));
      }
    }
  };
  const keep = async (): Promise<void> => {
    for (let session = await present; ; ) {
      settings.onFault(await session.lost);
      connected = false;
      void session.close();
      present = reopen();
      session = await present;
      connected = true;
      for (const listener of listeners) listener();
    }
  };
  // It ends by the abort of `closing` alone.
  const kept = keep().catch(() => undefined);

  return {
    get connected() {
      return connected;
    },
    publishEvent: (event, until) =>
      publish(event, until === undefined ? closing.signal : AbortSignal.any([until, closing.signal])),
    onReconnect(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async declareAgain(until) {
      await (await open(until)).close();
    },
    async close() {
      closing.abort(new AgentError('BrokerUnavailable', 'The agent stops: it publishes nothing any more.'));
      listeners.clear();
      const session = await present.catch(() => undefined);
      await session?.close();
      void kept;
    },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
