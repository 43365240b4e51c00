import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, asError } from '../../util/agent-errors.ts';
import type { Management } from '../management/management.ts';
import type { Clock } from '../../util/clock.ts';
import { PROOF_TIMES, type ProofTimes, type ProofView } from '../event-proof.ts';
import { brokerEventsPolicies, ensurePolicies } from '../policies.ts';
import { type BrokerEvent, brokerEventQueues, EVENT_EXCHANGE, type Headers, readBrokerEvent } from './broker-events.ts';
import {
  type BrokerEventsSession,
  type BrokerEventsSessionOptions,
  openBrokerEventsSession,
} from './broker-events-session.ts';
import { createEventCause } from './cause-broker-event.ts';
import { type EventProver, startEventProver } from './event-prover.ts';

interface BrokerEventsConsumerOptions extends Omit<BrokerEventsSessionOptions, 'onEvent' | 'prefetch'> {
  readonly management: Pick<Management, 'listPolicies' | 'putPolicy' | 'listBindingsFrom' | 'hasExchange'>;
  /** Unacknowledged events of each queue, at most; 500 when absent. */
  readonly prefetch?: number;
  /** How often to check that events can arrive, in ms; 15 seconds when absent. */
  readonly checkEveryMs?: number;
  /** The longest pause between two tries to connect, in ms; 30 seconds when absent. */
  readonly maxReconnectDelayMs?: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Only tests give any. */
  readonly proofTimes?: ProofTimes;
  /** Takes one event, which is acknowledged when this has returned or settled. */
  readonly onEvent: (event: BrokerEvent) => Promise<void> | void;
  /** Events are consumed, for the first time or again. Those since the last time may be lost. */
  readonly onConsuming: () => void;
  /** The event exchange does not exist. Called once until it does. */
  readonly onMissing: (error: AgentError) => void;
  /** Connecting or consuming failed for another reason; the consumer retries. */
  readonly onError: (error: Error) => void;
  /** Whether events arrive has changed. */
  readonly onProof?: (view: ProofView) => void;
  /** Handling one event failed. It is acknowledged nevertheless. */
  readonly onEventFailed: (type: string, error: Error) => void;
}

/** Consumes broker events, with reconnects. */
interface BrokerEventsConsumer {
  /** Whether the queues of events are bound and consumed now. */
  readonly consuming: boolean;
  /** Whether RabbitMQ sends events to them; undefined while they are not consumed. */
  readonly proof: ProofView | undefined;
  /** Resolves when the first try is over, whether events arrive or not. */
  start(): Promise<void>;
  close(): Promise<void>;
}

const PREFETCH = 500;
const CHECK_EVERY_MS = 15_000;
const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;

/** Creates the consumer. While the event exchange does not exist it checks for it, and begins when it does. */
export function createBrokerEventsConsumer(options: BrokerEventsConsumerOptions): BrokerEventsConsumer {
  const { management, eventVhost, id, prefetch = PREFETCH, checkEveryMs = CHECK_EVERY_MS } = options;
  const maxDelayMs = options.maxReconnectDelayMs ?? MAX_DELAY_MS;
  const closing = new AbortController();
  const call = { signal: closing.signal };
  const eventCause = createEventCause(options);
  let prover: EventProver | undefined;
  let isMissingReported = false;
  let running: Promise<void> | undefined;

  /** Resolves with undefined where there is no event exchange. */
  const openSession = async (): Promise<BrokerEventsSession | undefined> => {
    if (!(await management.hasExchange(eventVhost, EVENT_EXCHANGE, call))) return undefined;
    await ensurePolicies(management, eventVhost, brokerEventsPolicies(id), call);
    closing.signal.throwIfAborted();
    const onEvent = (routingKey: string, headers: Headers) => {
      prover?.recordArrival();
      return handleEvent(options, routingKey, headers);
    };
    return await openBrokerEventsSession({ ...options, prefetch, onEvent }, closing.signal);
  };

  const startProver = (): EventProver =>
    startEventProver({
      clock: options.clock,
      times: options.proofTimes ?? PROOF_TIMES,
      cause: () => eventCause.cause(),
      onView: (view) => options.onProof?.(view),
    });

  /** Resolves with the reason when no more events can arrive. */
  const untilLost = async (session: BrokerEventsSession): Promise<Error> => {
    const lost = new AbortController();
    void session.lost.then((reason) => lost.abort(reason));
    const signal = AbortSignal.any([lost.signal, closing.signal]);
    for (;;) {
      await pause(checkEveryMs, signal);
      if (signal.aborted) return asError(signal.reason);
      // While the API does not answer, a session that is open counts as bound.
      const isBound = await hasBindings(options, closing.signal).catch(() => true);
      // Disabling and enabling the plugin removes the bindings and leaves the connection open.
      if (!isBound) return new Error(`A queue of broker events is no longer bound to ${EVENT_EXCHANGE}.`);
    }
  };

  const consumeUntilLost = async (session: BrokerEventsSession, onStarted: () => void): Promise<void> => {
    prover = startProver();
    try {
      options.onConsuming();
      onStarted();
      const reason = await untilLost(session);
      if (!closing.signal.aborted) options.onError(reason);
    } finally {
      prover.stop();
      prover = undefined;
      await session.close();
    }
  };

  const reportMissing = (): void => {
    if (!isMissingReported) options.onMissing(missingExchange(eventVhost));
    isMissingReported = true;
  };

  /** Resolves with the pause before the next try, in ms. */
  const tryOnce = async (delayMs: number, onTried: () => void): Promise<number> => {
    try {
      const session = await openSession();
      if (session === undefined) {
        reportMissing();
        return checkEveryMs;
      }
      isMissingReported = false;
      await consumeUntilLost(session, onTried);
      return FIRST_DELAY_MS;
    } catch (error) {
      if (!closing.signal.aborted) options.onError(asError(error));
      return Math.min(2 * delayMs, maxDelayMs);
    }
  };

  const run = async (onTried: () => void): Promise<void> => {
    for (let delayMs = FIRST_DELAY_MS; !closing.signal.aborted; ) {
      delayMs = await tryOnce(Math.min(delayMs, maxDelayMs), onTried);
      onTried();
      await pause(delayMs, closing.signal);
    }
  };

  return {
    get consuming() {
      return prover !== undefined;
    },
    get proof() {
      return prover?.view;
    },
    async start() {
      await new Promise<void>((resolve) => {
        running = run(resolve);
      });
    },
    async close() {
      closing.abort(new Error('The agent stops consuming broker events.'));
      await running;
      await eventCause.close();
    },
  };
}

/** Handles one message. An error of the handler must not keep the message unacknowledged. */
function handleEvent(
  { onEvent, onEventFailed }: BrokerEventsConsumerOptions,
  routingKey: string,
  headers: Headers,
): Promise<void> | undefined {
  const onFailed = (error: unknown): void => onEventFailed(routingKey, asError(error));
  try {
    const event = readBrokerEvent(routingKey, headers);
    const handled = event === undefined ? undefined : onEvent(event);
    return handled === undefined ? undefined : handled.catch(onFailed);
  } catch (error) {
    onFailed(error);
    return undefined;
  }
}

async function hasBindings(
  { management, eventVhost, id }: BrokerEventsConsumerOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const bindings = await management.listBindingsFrom(eventVhost, EVENT_EXCHANGE, { signal });
  return brokerEventQueues(id).every(({ queue, types }) => {
    const bound = bindings.filter(({ destination }) => destination === queue).map(({ routingKey }) => routingKey);
    return types.every((type) => bound.includes(type));
  });
}

function missingExchange(eventVhost: string): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `There is no exchange ${EVENT_EXCHANGE} in the vhost "${eventVhost}". Run "rabbitmq-plugins enable rabbitmq_event_exchange" on every node, and set eventVhost to event_exchange.vhost of rabbitmq.conf.`,
  );
}

/** Waits `ms`, and no longer than until the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
