import type { EventEmitter } from 'node:events';
import type { PublicationConfig } from 'rascal';
import { AgentError } from '../../util/agent-errors.ts';
import { startDeadline, TimeoutError } from '../../util/deadline.ts';

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
 * @throws AgentError `BrokerUnavailable` when it is not confirmed in time; it may have arrived nevertheless. The
 *   signal's reason when it aborts.
 */
export type PublishEvent = (event: OutgoingEvent, signal?: AbortSignal) => Promise<void>;

/** The part of rascal's publication that the publisher uses. */
export type PublicationHandle = EventEmitter & { abort(): void };

interface EventPublisherOptions {
  /** Passes an event to rascal once there is a connection. Rejects when the connection is closed for good. */
  readonly publish: (message: Buffer | string, overrides: PublicationConfig) => Promise<PublicationHandle>;
  /** From the call to the confirm, in ms. */
  readonly timeoutMs: number;
}

/** How many events may wait for a confirm. Each waits until its time-out. */
const MAX_IN_FLIGHT = 1000;

/** Creates the publisher. rascal's `publish` resolves before the broker has confirmed, so the outcome is awaited here. */
export function createEventPublisher({ publish, timeoutMs }: EventPublisherOptions): PublishEvent {
  let inFlight = 0;

  return async (event, signal) => {
    signal?.throwIfAborted();
    if (inFlight >= MAX_IN_FLIGHT) throw notPublished(event, 'too many events wait for the broker');
    inFlight += 1;
    const { routingKey, contentType, messageId } = event;
    const publication = publish(event.body, { routingKey, options: { contentType, messageId } });
    const deadline = startDeadline(timeoutMs, signal);
    try {
      await untilConfirmed(publication, event, deadline.signal);
    } catch (error) {
      throw error instanceof TimeoutError ? notPublished(event, `no confirm within ${timeoutMs} ms`, error) : error;
    } finally {
      deadline.clear();
      inFlight -= 1;
    }
  };
}

function untilConfirmed(
  publication: Promise<PublicationHandle>,
  event: OutgoingEvent,
  abandon: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    abandon.addEventListener('abort', () => reject(abandon.reason), { once: true });
    const listen = async (): Promise<void> => {
      const handle = await publication;
      // These listeners stay: rascal may emit an error after the outcome, and without one that ends the process.
      handle.on('success', () => resolve());
      handle.on('error', (error: Error) => reject(notPublished(event, error.message, error)));
      handle.on('close', () => reject(notPublished(event, 'the connection was lost before the confirm')));
      // A publication that still waits for a channel is not sent.
      if (abandon.aborted) handle.abort();
      else abandon.addEventListener('abort', () => handle.abort(), { once: true });
    };
    listen().catch((error: Error) => reject(notPublished(event, error.message, error)));
  });
}

function notPublished(event: OutgoingEvent, reason: string, cause?: Error): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `The event ${event.routingKey} was not published: ${reason}. Check that RabbitMQ runs and has no alarm.`,
    { cause },
  );
}
