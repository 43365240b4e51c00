import type { EventEmitter } from 'node:events';
import type { SubscriptionSession, VhostConfig } from 'rascal';
import { contractNames } from '../../contract/names.ts';
import { AgentError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import { BROKER_EVENT_TYPES, EVENT_EXCHANGE, type Headers } from './broker-events.ts';
import { connectRascal, type RascalConnection } from './rascal-connection.ts';

/** What {@link openBrokerEventsSession} needs. */
export interface BrokerEventsSessionOptions {
  readonly amqpUrl: Secret;
  readonly id: string;
  /** Where the event exchange is, and so the queue. */
  readonly eventVhost: string;
  /** How many events are held at once, at most. */
  readonly prefetch: number;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  /** Takes one event. It is acknowledged when this has returned or settled, however: it must see to its own failures. */
  readonly onEvent: (routingKey: string, headers: Headers) => Promise<void> | void;
}

/** One connection that consumes the queue of broker events. */
export interface BrokerEventsSession {
  /** Resolves when nothing comes any more, with the reason. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

const EVENTS = 'broker events';

/**
 * Declares the queue, binds the keys that are used and consumes, on a connection that never publishes: during an alarm
 * RabbitMQ stops reading those that do, and with them their acknowledgements.
 *
 * rascal may consume here as nobody else can publish to the event exchange. A forged message put right into the queue
 * can cost a connection; the delivery limit ends that.
 *
 * @throws AgentError `BrokerUnavailable`, also when the signal aborts meanwhile.
 */
export async function openBrokerEventsSession(
  settings: BrokerEventsSessionOptions,
  signal: AbortSignal,
): Promise<BrokerEventsSession> {
  const { amqpUrl, id, eventVhost, onEvent } = settings;
  const connectionName = `${id} broker events`;
  const ca = settings.ca === undefined ? {} : { ca: settings.ca };
  let connection: RascalConnection | undefined;
  try {
    connection = await connectRascal(
      { amqpUrl, vhost: eventVhost, connectionName, ...ca },
      vhostConfigOf(settings),
      signal,
    );
    const aborted = abortOf(signal);
    const consuming = await Promise.race([connection.subscribe(EVENTS), aborted]);
    const { started, lost } = consume(consuming, onEvent);
    const end = Promise.race([lost, connection.lost]);
    const early = await Promise.race([started, end, aborted]);
    if (early !== undefined) throw early;
    return { lost: end, close: connection.close };
  } catch (failure) {
    await connection?.close();
    const reason = failure instanceof Error ? failure.message : String(failure);
    throw new AgentError(
      'BrokerUnavailable',
      `RabbitMQ does not let the agent consume its events (${reason}). Its account needs, in the vhost "${eventVhost}", configure, write and read on ${contractNames(id).brokerEventsQueue}, and read on ${EVENT_EXCHANGE}.`,
    );
  }
}

function vhostConfigOf({ id, prefetch }: BrokerEventsSessionOptions): VhostConfig {
  const queue = contractNames(id).brokerEventsQueue;
  return {
    // It is the plugin's; whoever declared it would make something else.
    exchanges: [{ name: EVENT_EXCHANGE, type: 'topic', assert: false, check: true }],
    queues: [{ name: queue, options: { durable: true, arguments: { 'x-queue-type': 'quorum' } } }],
    bindings: {
      [EVENTS]: { source: EVENT_EXCHANGE, destination: queue, bindingKeys: [...BROKER_EVENT_TYPES] },
    },
    subscriptions: { [EVENTS]: { queue, prefetch, retry: false } },
  };
}

/** Rejects when the signal aborts. */
function abortOf(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  aborted.catch(() => undefined);
  return aborted;
}

function consume(session: SubscriptionSession, onEvent: BrokerEventsSessionOptions['onEvent']) {
  // The types know some of its events.
  const emitter: EventEmitter = session;
  const started = new Promise<void>((resolve) => void emitter.on('subscribed', () => resolve()));
  const lost = new Promise<Error>((resolve) => {
    // These stay: without a listener an error ends the process.
    session.on('error', resolve);
    session.on('cancelled', resolve);
    emitter.on('close', () => resolve(new Error('RabbitMQ closed the channel of broker events.')));
    session.on('invalid_content', (_error, _message, acknowledge) => acknowledge());
    session.on('redeliveries_error', (_error, _message, acknowledge) => acknowledge());
  });
  session.on('message', ({ fields, properties }, _content, acknowledge) => {
    // Who may write to the default exchange of the vhost can put anything into the queue.
    if (fields.exchange !== EVENT_EXCHANGE) return acknowledge();
    const headers: Headers = properties.headers ?? {};
    const taken = onEvent(fields.routingKey, headers);
    if (taken === undefined) acknowledge();
    else void taken.finally(() => acknowledge());
  });
  return { started, lost };
}
