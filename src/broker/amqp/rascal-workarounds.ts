import { promisify } from 'node:util';
import rascal from 'rascal';
import type { Broker, BrokerConfig } from 'rascal';
import { waitAtMost } from '../../util/deadline.ts';

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

/**
 * Creates a broker. When the creation fails, rascal 21.0.1 leaves a timer and maybe a connection behind; its callback gets
 * the broker together with the error, and it is shut down here.
 *
 * No longer needed when a process exits by itself after a failed `createBroker`.
 *
 * @param cut closes all sockets of the broker
 */
export async function createRascalBroker(config: BrokerConfig, cut: () => void, closeMs: number): Promise<Broker> {
  const { broker, error } = await new Promise<{ readonly broker?: Broker; readonly error?: Error }>((resolve) => {
    rascal.createBroker(config, (failure, created) => {
      const made = created === undefined ? {} : { broker: created };
      resolve(failure === null ? made : { ...made, error: failure });
    });
  });
  if (broker !== undefined && error === undefined) return broker;
  broker?.on('error', () => undefined);
  if (broker !== undefined) await shutDownRascalBroker(broker, cut, closeMs);
  else cut();
  throw error ?? new Error('rascal made no connection.');
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
