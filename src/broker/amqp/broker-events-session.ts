import type { EventEmitter } from 'node:events';
import type { SubscriptionSession, VhostConfig } from 'rascal';
import { AgentError, asError } from '../../util/agent-errors.ts';
import { brokerEventQueues, EVENT_EXCHANGE, type Headers } from './broker-events.ts';
import { agentConnectionFault } from './agent-connection-fault.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { connectRascal, type RascalConnection } from './rascal-connection.ts';

export interface BrokerEventsSessionOptions extends AmqpAddresses {
  readonly id: string;
  /** The vhost of the event exchange, and so of the queues. */
  readonly eventVhost: string;
  /** Unacknowledged events of each queue, at most. */
  readonly prefetch: number;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  /** Takes one event, which is acknowledged when this has returned or settled. It must not throw. */
  readonly onEvent: (routingKey: string, headers: Headers) => Promise<void> | void;
}

/** One connection that consumes the queues of broker events. */
export interface BrokerEventsSession {
  /** Resolves with the reason when no more events arrive. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

/**
 * Declares the queues, binds them and consumes them, each on a channel of its own, on a connection that never publishes: during an alarm RabbitMQ stops
 * reading from those that do, acknowledgements included.
 *
 * rascal may consume here, because only the broker publishes to the event exchange. A forged message published directly to
 * a queue can cost a connection; the delivery limit ends that.
 *
 * @throws AgentError `BrokerUnavailable`, also when the signal aborts; `BrokerRefused`
 */
export async function openBrokerEventsSession(
  options: BrokerEventsSessionOptions,
  signal: AbortSignal,
): Promise<BrokerEventsSession> {
  const { amqpUrl, addressChoice, id, eventVhost, ca, onEvent } = options;
  let connection: RascalConnection | undefined;
  try {
    connection = await connectRascal(
      { amqpUrl, addressChoice, vhost: eventVhost, connectionName: `${id} broker events`, ca },
      vhostConfigOf(options),
      signal,
    );
    const aborted = rejectOnAbort(signal);
    const consumers = [];
    for (const { queue } of brokerEventQueues(id)) {
      consumers.push(consume(await Promise.race([connection.subscribe(queue), aborted]), onEvent));
    }
    const lost = Promise.race([...consumers.map(({ stopped }) => stopped), connection.lost]);
    const allStarted = Promise.all(consumers.map(({ started }) => started)).then(() => undefined);
    const lostEarly = await Promise.race([allStarted, lost, aborted]);
    if (lostEarly !== undefined) throw lostEarly;
    return { lost, close: connection.close };
  } catch (error) {
    await connection?.close();
    const fault = agentConnectionFault(error);
    if (fault !== undefined) throw fault;
    const queues = brokerEventQueues(id).map(({ queue }) => queue);
    const reason = asError(error).message.trim();
    const advice = `In the vhost "${eventVhost}" the agent's account needs configure, write and read on ${queues.join(' and ')}, and read on ${EVENT_EXCHANGE}.`;
    throw new AgentError(
      'BrokerUnavailable',
      `RabbitMQ does not let the agent consume its events in the vhost "${eventVhost}" (${reason}). ${advice}`,
      { cause: error },
    );
  }
}

function vhostConfigOf({ id, prefetch }: BrokerEventsSessionOptions): VhostConfig {
  const queues = brokerEventQueues(id);
  return {
    // The plugin declares it; a client could only declare another kind of exchange.
    exchanges: [{ name: EVENT_EXCHANGE, type: 'topic', assert: false, check: true }],
    queues: queues.map(({ queue }) => ({
      name: queue,
      options: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
    })),
    bindings: Object.fromEntries(
      queues.map(({ queue, types }) => [
        queue,
        { source: EVENT_EXCHANGE, destination: queue, bindingKeys: [...types] },
      ]),
    ),
    subscriptions: Object.fromEntries(queues.map(({ queue }) => [queue, { queue, prefetch, retry: false }])),
  };
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(asError(signal.reason));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  aborted.catch(() => undefined);
  return aborted;
}

function consume(session: SubscriptionSession, onEvent: BrokerEventsSessionOptions['onEvent']) {
  // rascal's types lack some of its events.
  const emitter: EventEmitter = session;
  const started = new Promise<void>((resolve) => void emitter.on('subscribed', () => resolve()));
  const stopped = new Promise<Error>((resolve) => {
    // These listeners stay: without one an error ends the process.
    session.on('error', resolve);
    session.on('cancelled', resolve);
    emitter.on('close', () => resolve(new Error('RabbitMQ closed the channel of broker events.')));
    session.on('invalid_content', (_error, _message, acknowledge) => acknowledge());
    session.on('redeliveries_error', (_error, _message, acknowledge) => acknowledge());
  });
  session.on('message', ({ fields, properties }, _content, acknowledge) => {
    // A client that may write to the default exchange can put any message into the queue.
    if (fields.exchange !== EVENT_EXCHANGE) return acknowledge();
    const headers: Headers = properties.headers ?? {};
    const handled = onEvent(fields.routingKey, headers);
    if (handled === undefined) acknowledge();
    else void handled.finally(() => acknowledge());
  });
  return { started, stopped };
}
