import { promisify } from 'node:util';
import rascal from 'rascal';
import type { Broker, BrokerConfig } from 'rascal';
import { asError } from '../../util/agent-errors.ts';
import { TimeoutError, untilAborted, waitAtMost } from '../../util/deadline.ts';

/**
 * Switches rascal's reconnecting off. rascal 21.0.1 ignores `retry` of a connection. It reconnects after up to a minute. On
 * a broker that lost its data it declares the queues before the policies that limit them.
 *
 * No longer needed when a connection takes its own `retry: false`.
 */
export function withoutReconnect(config: BrokerConfig): BrokerConfig {
  // rascal's types lack this setting, the only one that works.
  return Object.assign(config, { defaults: { vhosts: { connection: { retry: false } } } });
}

/** How long connecting and declaring may take, in ms: a lost connection is noticed by its heartbeats before that. */
const CREATION_LIMIT_MS = 60_000;

interface RascalCreation {
  /** Closes all sockets of the broker. */
  readonly cut: () => void;
  readonly closeMs: number;
  /** `cut` has been called when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** For tests, in place of a minute, in ms. */
  readonly limitMs?: number;
}

/**
 * Creates a broker. When the creation fails, rascal 21.0.1 leaves a timer and maybe a connection behind; its callback gets
 * the broker together with the error, and it is shut down here. When the connection is cut while rascal sets it up, the
 * callback may never be called: the creation fails at its limit, and `closeMs` after the signal aborts.
 *
 * No longer needed when a process exits by itself after a failed `createBroker`, and each `createBroker` calls back.
 */
export async function createRascalBroker(config: BrokerConfig, creation: RascalCreation): Promise<Broker> {
  const { cut, closeMs } = creation;
  const creating = callCreateBroker(config);
  const outcome = await withinLimit(creating, creation);
  if (outcome.broker !== undefined && outcome.error === undefined) return outcome.broker;
  if (outcome.broker !== undefined) await abandon(outcome.broker, cut, closeMs);
  else cut();
  throw outcome.error ?? new Error('rascal made no connection.');
}

interface Created {
  readonly broker?: Broker;
  readonly error?: Error;
}

async function callCreateBroker(config: BrokerConfig): Promise<Created> {
  return await new Promise((resolve) => {
    rascal.createBroker(config, (failure, created) => {
      const made = created === undefined ? {} : { broker: created };
      resolve(failure === null ? made : { ...made, error: failure });
    });
  });
}

async function withinLimit(
  creating: Promise<Created>,
  { cut, closeMs, signal, limitMs = CREATION_LIMIT_MS }: RascalCreation,
): Promise<Created> {
  const overdue = new AbortController();
  const end = (error: unknown): void => overdue.abort(error);
  let timer = setTimeout(end, limitMs, new TimeoutError(limitMs));
  const onAbort = (): void => {
    clearTimeout(timer);
    timer = setTimeout(end, closeMs, signal?.reason);
  };
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await untilAborted(creating, overdue.signal);
  } catch (error) {
    void creating.then(({ broker }) => (broker === undefined ? undefined : abandon(broker, cut, closeMs)));
    return { error: asError(error) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

async function abandon(broker: Broker, cut: () => void, closeMs: number): Promise<void> {
  broker.on('error', () => undefined);
  await shutDownRascalBroker(broker, cut, closeMs);
}

/**
 * Shuts a broker down within `closeMs`. Where RabbitMQ does not answer, rascal 21.0.1 never finishes its shutdown, and a timer
 * of it (`keepActive`) keeps the process alive.
 *
 * No longer needed when `broker.shutdown` has a time-out.
 *
 * @param cut closes all sockets of the broker
 */
export async function shutDownRascalBroker(broker: Broker, cut: () => void, closeMs: number): Promise<void> {
  await waitAtMost(closeMs, promisify(broker.shutdown.bind(broker))());
  cut();
  if ('keepActive' in broker) clearInterval(broker.keepActive as NodeJS.Timeout);
}
