import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, within } from '../util/clock.ts';
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

/** What {@link createAgentEvents} works with. */
export interface AgentEventParts {
  readonly publish: (event: PublishableEvent) => Promise<void>;
  /** The configured id, and which of the agents with that id this is. */
  readonly agent: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How long telling waits for the broker, in ms; 2000 when absent. */
  readonly tellMs?: number;
}

/** Tells operators and owners what happened. */
export interface AgentEvents {
  /**
   * Publishes in the background: an event is told of after the fact and never holds it up. One that cannot be published
   * is in the log with its content. It does not throw.
   */
  emit<T extends EventType>(type: T, data: EventData<T>): void;
  /**
   * As {@link emit}; resolves when the event is published or given up, and after two seconds at the latest; at once while
   * an earlier one has waited for longer. For whoever forgets what it is about next: an agent that dies before has it told
   * again.
   */
  emitAndWait<T extends EventType>(type: T, data: EventData<T>): Promise<void>;
  /** Resolves when every event emitted so far is published or given up, after `patienceMs` at the latest. */
  flush(patienceMs: number): Promise<void>;
}

/** A broker that has raised an alarm confirms nothing: the work must not stand still with it. */
const TELL_MS = 2_000;

/** The agent events of one agent. */
export function createAgentEvents(parts: AgentEventParts): AgentEvents {
  const { publish, agent, instance, clock, log, tellMs = TELL_MS } = parts;
  const underWay = new Set<Promise<void>>();
  /** Of the events that are under way, those that were waited for in vain: the broker confirms nothing. */
  let late = 0;
  const begin: <T extends EventType>(type: T, data: EventData<T>) => Promise<void> = async (type, data) => {
    const id = randomUUID();
    let message: EventMessage<typeof type>;
    try {
      message = makeEvent({ type, data, id, timeMs: clock.nowMs(), agent, instance });
    } catch (error) {
      // Without the data: what is wrong with it may be that it holds a secret.
      log.error({ code: 'event_invalid', err: error, type }, 'agent event does not match its schema');
      return;
    }
    const { event, routingKey } = message;
    const published = publish({
      routingKey,
      body: JSON.stringify(event),
      contentType: EVENT_CONTENT_TYPE,
      messageId: id,
    })
      .catch((error: unknown) =>
        log.error({ code: 'event_not_published', err: error, event }, 'could not publish an agent event'),
      )
      .finally(() => underWay.delete(published));
    underWay.add(published);
    await published;
  };
  return {
    emit: (type, data) => void begin(type, data),
    async emitAndWait(type, data) {
      const told = begin(type, data);
      if (late > 0) return;
      const given = new AbortController();
      const tooLong = sleep(tellMs, undefined, { signal: given.signal, ref: false }).then(
        () => {
          late += 1;
          void told.finally(() => (late -= 1));
        },
        () => undefined,
      );
      await Promise.race([told, tooLong]);
      given.abort();
    },
    flush: (patienceMs) => within(patienceMs, Promise.all(underWay)),
  };
}
