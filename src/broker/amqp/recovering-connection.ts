import { getEventListeners } from 'node:events';
import { connect, type RecoveringChannelModel } from 'amqplib';
import type { Secret } from '../../util/secret.ts';
import { CONNECTION_TIMEOUTS, type ConnectionTimeouts, withHeartbeat } from './connection-timeouts.ts';

/** What {@link openRecoveringConnection} needs. */
export interface RecoveringConnectionOptions {
  readonly url: Secret;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  /** The name that the broker shows for the connection. */
  readonly connectionName: string;
  readonly timeouts?: ConnectionTimeouts;
}

/** A connection that amqplib opens again whenever it is gone. */
export interface RecoveringConnection {
  readonly connection: RecoveringChannelModel;
  /** Aborted, it cuts the socket that there is at the moment, also one that is being opened. */
  readonly sockets: AbortController;
}

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 5_000;

/**
 * Begins to connect; the caller puts up its listeners and then waits for the connection. The first try is the only one:
 * an agent that starts says what is wrong.
 */
export async function openRecoveringConnection(settings: RecoveringConnectionOptions): Promise<RecoveringConnection> {
  const { url, ca, connectionName, timeouts: patience = CONNECTION_TIMEOUTS } = settings;
  const sockets = new AbortController();
  const cut = { signal: sockets.signal };
  const connection = await connect(withHeartbeat(url, patience), {
    // Listeners have to be there before the first connection is.
    recovery: {
      initialDelay: FIRST_DELAY_MS,
      maxDelay: MAX_DELAY_MS,
      initialMaxRetries: 0,
      waitForConnect: false,
    },
    clientProperties: { connection_name: connectionName },
    noDelay: true,
    timeout: patience.connectTimeoutMs,
    ...(ca === undefined ? {} : { ca: [ca] }),
    ...cut,
  });
  const forget = (): void => forgetSockets(sockets.signal);
  connection.on('disconnect', forget);
  connection.on('connect-failed', forget);
  return { connection, sockets };
}

/**
 * Node keeps every socket that was made with a signal for as long as there is the signal. While a broker is down there is
 * a new one every few seconds.
 */
function forgetSockets(signal: AbortSignal): void {
  for (const listener of getEventListeners(signal, 'abort')) {
    signal.removeEventListener('abort', listener as () => void);
  }
}
