import type { EventEmitter } from 'node:events';
import type { PublicationConfig } from 'rascal';
import { AgentError } from '../errors.ts';

/** One event for the events exchange. */
export interface OutgoingEvent {
  readonly routingKey: string;
  readonly body: Buffer | string;
  readonly contentType: string;
  readonly messageId: string;
}

/**
 * Publishes an event; resolves when the broker has confirmed it.
 *
 * @throws AgentError `BrokerUnavailable` when it could not be published in time; the broker may have it all the same.
 *   The signal's reason when it is aborted.
 */
export type PublishEvent = (event: OutgoingEvent, signal?: AbortSignal) => Promise<void>;

/** What of rascal's publication the publisher uses. */
export type PublicationHandle = EventEmitter & { abort(): void };

/** What {@link createEventPublisher} needs. */
export interface EventPublisherParts {
  readonly publish: (message: Buffer | string, overrides: PublicationConfig) => Promise<PublicationHandle>;
  readonly isConnected: () => boolean;
  /** From the call to the confirm. */
  readonly timeoutMs: number;
}

/** While the broker is away events wait for it in memory, up to their time-out; so many at once and no more. */
const MAX_WAITING = 100;

/** Makes the publisher. rascal's `publish` resolves before the broker has confirmed, so the outcome is awaited here. */
export function createEventPublisher({ publish, isConnected, timeoutMs }: EventPublisherParts): PublishEvent {
  let waiting = 0;

  return async (event, signal) => {
    signal?.throwIfAborted();
    if (!isConnected() && waiting >= MAX_WAITING) throw unpublished(event, 'too many wait for the broker');
    waiting += 1;
    try {
      const { routingKey, contentType, messageId } = event;
      const handle = await publish(event.body, { routingKey, options: { contentType, messageId } });
      await outcome(handle, event, timeoutMs, signal);
    } finally {
      waiting -= 1;
    }
  };
}

function outcome(handle: PublicationHandle, event: OutgoingEvent, timeoutMs: number, signal?: AbortSignal) {
  return new Promise<void>((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      act();
    };
    const giveUp = (error: unknown): void => {
      // One that still waits for a channel is not sent any more.
      handle.abort();
      settle(() => reject(error));
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const timer = setTimeout(() => giveUp(unpublished(event, `no confirm within ${timeoutMs} ms`)), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    // These stay: rascal may report an error after the outcome, and without a listener that ends the process.
    handle.on('success', () => settle(resolve));
    handle.on('error', (error: Error) => settle(() => reject(unpublished(event, error.message))));
    handle.on('close', () => settle(() => reject(unpublished(event, 'the connection was lost before the confirm'))));
  });
}

function unpublished(event: OutgoingEvent, why: string): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `The event ${event.routingKey} was not published: ${why}. Check that RabbitMQ runs and raises no alarm.`,
  );
}
