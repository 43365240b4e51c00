import { AgentError } from '../../util/agent-errors.ts';
import {
  type BrokerEvent,
  BROKER_EVENT_TYPES,
  EVENT_EXCHANGE,
  type Headers,
  readBrokerEvent,
} from './broker-events.ts';
import { type BrokerEventsSession, openBrokerEventsSession } from './broker-events-session.ts';
import type { BrokerEventsSessionOptions } from './broker-events-session.ts';
import { contractNames } from '../../contract/names.ts';
import { brokerEventsPolicies, ensurePolicies } from '../policies.ts';
import type { Management } from '../management/management.ts';

/** What {@link consumeBrokerEvents} needs. */
export interface BrokerEventsConsumerOptions extends Omit<BrokerEventsSessionOptions, 'onEvent' | 'prefetch'> {
  readonly management: Pick<Management, 'listPolicies' | 'putPolicy' | 'listBindingsFrom' | 'hasExchange'>;
  /** Events held at once, at most; 500 when absent. */
  readonly prefetch?: number;
  /** How often it is made sure, in ms, that events can still come; 15 seconds when absent. */
  readonly checkEveryMs?: number;
  /** The longest pause between two tries to connect, in ms. */
  readonly maxReconnectDelayMs?: number;
  /** Takes one event; the broker forgets it when this has returned or settled. */
  readonly onEvent: (event: BrokerEvent) => Promise<void> | void;
  /** Events come, for the first time or again. Those of the time between may be lost. */
  readonly onFlowing: () => void;
  /** There is no event exchange; told once until there is one. */
  readonly onMissing: (error: AgentError) => void;
  /** Other faults, which are got over by trying again; for the log. */
  readonly onError: (error: Error) => void;
}

/** The consumption of broker events, kept going. */
export interface BrokerEventsConsumer {
  /** Whether events come now. */
  readonly flowing: boolean;
  /** Looks now for what it waits for, instead of later. */
  look(): void;
  close(): Promise<void>;
}

const PREFETCH = 500;
const LOOK_EVERY_MS = 15_000;
const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;

/**
 * Consumes broker events for as long as it is not closed. Without the event exchange the agent lives on without them,
 * and they are taken up when it is there. Resolves after the first try, whatever came of it.
 */
export async function consumeBrokerEvents(settings: BrokerEventsConsumerOptions): Promise<BrokerEventsConsumer> {
  const { management, eventVhost, id } = settings;
  const lookEveryMs = settings.checkEveryMs ?? LOOK_EVERY_MS;
  const maxDelayMs = settings.maxReconnectDelayMs ?? MAX_DELAY_MS;
  const closing = new AbortController();
  const pauses = createPauses(closing.signal);
  const call = { signal: closing.signal };
  let flowing = false;
  let missingIsTold = false;

  /** One session, or undefined where there is no event exchange. */
  const open = async (): Promise<BrokerEventsSession | undefined> => {
    if (!(await management.hasExchange(eventVhost, EVENT_EXCHANGE, call))) return undefined;
    await ensurePolicies(management, eventVhost, brokerEventsPolicies(id), call);
    closing.signal.throwIfAborted();
    const session = {
      ...settings,
      prefetch: settings.prefetch ?? PREFETCH,
      onEvent: (routingKey: string, headers: Headers) => takeEvent(settings, routingKey, headers),
    };
    return await openBrokerEventsSession(session, closing.signal);
  };
  /** Resolves with the reason when the session is of no use any more. */
  const end = async (session: BrokerEventsSession): Promise<Error | undefined> => {
    const faults: Error[] = [];
    void session.lost.then((error) => {
      faults.push(error);
      pauses.wake();
    });
    for (;;) {
      await pauses.pause(faults.length > 0 ? 0 : lookEveryMs);
      if (faults.length > 0 || closing.signal.aborted) return faults[0];
      // While the API does not answer, the session is all there is to go by.
      const bound = await isBound(settings, closing.signal).catch(() => true);
      // Switching the plugin off and on again takes the bindings away and leaves the connection as it is.
      if (!bound) return new Error(`The queue of broker events is no longer bound to ${EVENT_EXCHANGE}.`);
    }
  };
  /** One round; returns how long to wait before the next, in ms. */
  const round = async (delayMs: number, tried: () => void): Promise<number> => {
    try {
      const session = await open();
      if (session === undefined) {
        if (!missingIsTold) settings.onMissing(missing(eventVhost));
        missingIsTold = true;
        return lookEveryMs;
      }
      missingIsTold = false;
      flowing = true;
      try {
        settings.onFlowing();
        tried();
        const reason = await end(session);
        if (reason !== undefined) settings.onError(reason);
        return FIRST_DELAY_MS;
      } finally {
        flowing = false;
        await session.close();
      }
    } catch (error) {
      if (!closing.signal.aborted) settings.onError(asError(error));
      return Math.min(2 * delayMs, maxDelayMs);
    }
  };
  const keep = async (tried: () => void): Promise<void> => {
    for (let delayMs = FIRST_DELAY_MS; !closing.signal.aborted; ) {
      delayMs = await round(Math.min(delayMs, maxDelayMs), tried);
      tried();
      await pauses.pause(delayMs);
    }
  };

  let kept: Promise<void> = Promise.resolve();
  await new Promise<void>((tried) => {
    kept = keep(tried);
  });
  return {
    get flowing() {
      return flowing;
    },
    look: () => pauses.wake(),
    async close() {
      closing.abort(new Error('The agent stops consuming broker events.'));
      await kept;
    },
  };
}

/** Hands over what is an event; what its taker throws must not keep the broker from forgetting it. */
function takeEvent(
  { onEvent, onError: onFault }: BrokerEventsConsumerOptions,
  routingKey: string,
  headers: Headers,
): Promise<void> | undefined {
  try {
    const event = readBrokerEvent(routingKey, headers);
    const taken = event === undefined ? undefined : onEvent(event);
    return taken === undefined ? undefined : taken.catch((error: unknown) => onFault(asError(error)));
  } catch (error) {
    onFault(asError(error));
    return undefined;
  }
}

async function isBound(
  { management, eventVhost, id }: BrokerEventsConsumerOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const bindings = await management.listBindingsFrom(eventVhost, EVENT_EXCHANGE, { signal });
  const queue = contractNames(id).brokerEventsQueue;
  const keys = new Set(
    bindings.filter(({ destination }) => destination === queue).map((binding) => binding.routingKey),
  );
  return BROKER_EVENT_TYPES.every((key) => keys.has(key));
}

function missing(eventVhost: string): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `There is no exchange ${EVENT_EXCHANGE} in the vhost "${eventVhost}". Run "rabbitmq-plugins enable rabbitmq_event_exchange" on every node, and let eventVhost be what event_exchange.vhost says in rabbitmq.conf.`,
  );
}

/** Pauses that end early when woken or closed. */
function createPauses(closing: AbortSignal) {
  const wakers = new Set<() => void>();
  const wake = (): void => {
    for (const waker of wakers) waker();
  };
  closing.addEventListener('abort', wake, { once: true });
  return {
    wake,
    pause(ms: number): Promise<void> {
      if (closing.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const end = (): void => {
          clearTimeout(timer);
          wakers.delete(end);
          resolve();
        };
        const timer = setTimeout(end, ms);
        wakers.add(end);
      });
    },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
