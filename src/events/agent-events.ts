import { randomUUID } from 'node:crypto';
import type { Clock } from '../util/clock.ts';
import { waitAtMost } from '../util/deadline.ts';
import type { EventType } from '../contract/event-types.ts';
import { EVENT_CONTENT_TYPE, type EventData, type EventMessage, makeEvent } from '../contract/events.ts';
import type { Log } from '../util/log.ts';

/** One event as it goes to the broker. */
export interface PublishableEvent {
  readonly routingKey: string;
  readonly body: string;
  readonly contentType: string;
  readonly messageId: string;
}

type Publish = (event: PublishableEvent) => Promise<void>;

interface AgentEventsOptions {
  /** The configured id of the agent. */
  readonly agent: string;
  /** Which of the agents with that id it is. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Called for each event that is emitted; for metrics. */
  readonly onEmit?: (type: EventType) => void;
  /** How long `emitAndWait` waits for the broker, in ms; 2000 when absent. */
  readonly maxWaitMs?: number;
}

/** Publishes agent events. */
export interface AgentEvents {
  /**
   * Publishes in the background: what the event is about has happened and does not wait for it. An event that cannot be
   * published is logged with its content. It does not throw.
   */
  emit<T extends EventType>(type: T, data: EventData<T>): void;
  /**
   * As {@link emit}; resolves when the event is published or abandoned, after two seconds at the latest, and immediately
   * while an earlier event has waited for longer. A caller that deletes the stored outcome awaits the promise first. If the
   * agent dies in between, the outcome is still stored, and an agent reports it again.
   */
  emitAndWait<T extends EventType>(type: T, data: EventData<T>): Promise<void>;
  /** Resolves when every event emitted so far is published or abandoned, after `timeoutMs` at the latest. */
  flush(timeoutMs: number): Promise<void>;
}

/** Agent events that can be emitted before there is a connection to publish them on. */
export interface AgentEventBus extends AgentEvents {
  /** Publishes all events with `publish`, first those emitted so far, in order. To be called once. */
  attach(publish: Publish): void;
}

/** A broker that has raised an alarm confirms nothing: work must not stop with it. */
const MAX_WAIT_MS = 2_000;

/** Events that wait for `attach`, at most. A starting agent emits a handful. */
const MAX_UNATTACHED = 1_000;

/** Creates the event bus of one agent. It publishes nothing until a publisher is attached. */
export function createAgentEvents(options: AgentEventsOptions): AgentEventBus {
  const { agent, instance, clock, log, onEmit, maxWaitMs = MAX_WAIT_MS } = options;
  const inFlight = new Set<Promise<void>>();
  /** Undefined when a publisher is attached. */
  let attach: ((publish: Publish) => void) | undefined;
  const attached = new Promise<Publish>((resolve) => {
    attach = resolve;
  });
  /** Events in flight that `emitAndWait` stopped waiting for: the broker confirms nothing. */
  let late = 0;

  const publish = async (event: PublishableEvent): Promise<void> => {
    if (attach !== undefined && inFlight.size >= MAX_UNATTACHED)
      throw new Error('Too many events wait for the broker.');
    await (await attached)(event);
  };

  const start = async <T extends EventType>(type: T, data: EventData<T>): Promise<void> => {
    onEmit?.(type);
    const id = randomUUID();
    let message: EventMessage<T>;
    try {
      message = makeEvent({ type, data, id, timeMs: clock.nowMs(), agent, instance });
    } catch (error) {
      // Without the data: an unexpected field may hold a secret.
      log.error({ code: 'event_invalid', err: error, type }, 'agent event does not match its schema');
      return;
    }
    const { event, routingKey } = message;
    const body = JSON.stringify(event);
    const published = publish({ routingKey, body, contentType: EVENT_CONTENT_TYPE, messageId: id })
      .catch((error: unknown) =>
        log.error({ code: 'event_not_published', err: error, event }, 'could not publish an agent event'),
      )
      .finally(() => inFlight.delete(published));
    inFlight.add(published);
    await published;
  };

  return {
    attach(publisher) {
      attach?.(publisher);
      attach = undefined;
    },
    emit: (type, data) => void start(type, data),
    async emitAndWait(type, data) {
      const published = start(type, data);
      if (late > 0) return;
      if (await waitAtMost(maxWaitMs, published)) return;
      late += 1;
      void published.finally(() => (late -= 1));
    },
    async flush(timeoutMs) {
      await waitAtMost(timeoutMs, Promise.all(inFlight));
    },
  };
}
