import { getEventListeners } from 'node:events';
import { connect, type RecoveringChannelModel } from 'amqplib';
import type { Secret } from '../../util/secret.ts';
import { type ConnectionTimeouts, destroyAfterClose, socketOptionsOf, targetOf } from './connection.ts';

export interface RecoveringConnectionOptions {
  readonly url: Secret;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  /** The name that RabbitMQ shows for the connection. */
  readonly connectionName: string;
  readonly timeouts?: ConnectionTimeouts;
}

/** A connection that amqplib reopens whenever it is lost. */
interface RecoveringConnection {
  readonly connection: RecoveringChannelModel;
  /** Aborting it cuts the current socket, also one that is connecting. */
  readonly sockets: AbortController;
}

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 5_000;

/**
 * Starts to connect; the caller adds its listeners and then waits for the connection. The first try is the only one: a
 * start that cannot connect fails with the reason.
 */
export async function openRecoveringConnection(options: RecoveringConnectionOptions): Promise<RecoveringConnection> {
  const { url, timeouts } = options;
  const sockets = new AbortController();
  const connection = await connect(targetOf(url, timeouts), {
    recovery: {
      initialDelay: FIRST_DELAY_MS,
      maxDelay: MAX_DELAY_MS,
      initialMaxRetries: 0,
      // Listeners must be added before the first connection is open.
      waitForConnect: false,
    },
    noDelay: true,
    ...socketOptionsOf(options, sockets.signal, timeouts),
  });
  const release = (): void => releaseSockets(sockets.signal);
  connection.on('connect', destroyAfterClose);
  connection.on('disconnect', release);
  connection.on('connect-failed', release);
  return { connection, sockets };
}

/**
 * Node keeps every socket that was created with a signal alive as long as the signal. While a broker is down amqplib
 * creates one every few seconds.
 */
function releaseSockets(signal: AbortSignal): void {
  for (const listener of getEventListeners(signal, 'abort')) {
    signal.removeEventListener('abort', listener as () => void);
  }
}
