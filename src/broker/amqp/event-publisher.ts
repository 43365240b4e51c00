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
 * @throws AgentError `BrokerUnavailable` when it could not be published in time; the broker may have it all the same.
 *   The signal's reason when it is aborted.
 */
export type PublishEvent = (event: OutgoingEvent, signal?: AbortSignal) => Promise<void>;

/** What of rascal's publication the publisher uses. */
export type PublicationHandle = EventEmitter & { abort(): void };

/** What {@link createEventPublisher} needs. */
export interface EventPublisherOptions {
  /** Hands an event to rascal, as soon as there is a connection; rejects when there will be none. */
  readonly publish: (message: Buffer | string, overrides: PublicationConfig) => Promise<PublicationHandle>;
  /** From the call to the confirm. */
  readonly timeoutMs: number;
}

/** While the broker is away events wait for it in memory, up to their time-out; so many at once and no more. */
const MAX_UNDER_WAY = 1000;

/** Makes the publisher. rascal's `publish` resolves before the broker has confirmed, so the outcome is awaited here. */
export function createEventPublisher({ publish, timeoutMs }: EventPublisherOptions): PublishEvent {
  let underWay = 0;

  return async (event, signal) => {
    signal?.throwIfAborted();
    if (underWay >= MAX_UNDER_WAY) throw unpublished(event, 'too many wait for the broker');
    underWay += 1;
    const { routingKey, contentType, messageId } = event;
    const publication = publish(event.body, { routingKey, options: { contentType, messageId } });
    const deadline = startDeadline(timeoutMs, signal);
    try {
      await outcome(publication, event, deadline.signal);
    } catch (error) {
      throw error instanceof TimeoutError ? unpublished(event, `no confirm within ${timeoutMs} ms`) : error;
    } finally {
      deadline.clear();
      underWay -= 1;
    }
  };
}

function outcome(publication: Promise<PublicationHandle>, event: OutgoingEvent, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    stop.addEventListener('abort', () => reject(stop.reason), { once: true });
    const watch = async (): Promise<void> => {
      const handle = await publication;
      // These stay: rascal may report an error after the outcome, and without a listener that ends the process.
      handle.on('success', () => resolve());
      handle.on('error', (error: Error) => reject(unpublished(event, error.message)));
      handle.on('close', () => reject(unpublished(event, 'the connection was lost before the confirm')));
      // One that still waits for a channel is not sent any more.
      if (stop.aborted) handle.abort();
      else stop.addEventListener('abort', () => handle.abort(), { once: true });
    };
    watch().catch((error: Error) => reject(unpublished(event, error.message)));
  });
}

function unpublished(event: OutgoingEvent, why: string): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `The event ${event.routingKey} was not published: ${why}. Check that RabbitMQ runs and raises no alarm.`,
  );
}
