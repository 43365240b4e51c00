import { getEventListeners } from 'node:events';
import { type ChannelModel, connect, type RecoveringChannelModel } from 'amqplib';
import { type AmqpAddresses, type OfferedTarget, openTargets } from './connect-in-turn.ts';
import { type ConnectionTimeouts, destroyAfterClose, socketOptionsOf } from './connection.ts';

export interface RecoveringConnectionOptions extends AmqpAddresses {
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
 * Starts to connect; the caller adds its listeners and then waits for the connection. At the start each address is tried
 * once: a start that cannot connect fails with the reason. After a loss the addresses are tried in turn until one works.
 */
export async function openRecoveringConnection(options: RecoveringConnectionOptions): Promise<RecoveringConnection> {
  const { timeouts } = options;
  const sockets = new AbortController();
  const targets = openTargets(options, timeouts);
  let [current] = targets.inOrder() as [OfferedTarget];
  // amqplib connects again to the object that it was given: the next address is written into it.
  const target = { ...current.target };
  const moveOn = (): void => {
    [current] = targets.inOrder() as [OfferedTarget];
    Object.assign(target, current.target);
  };
  const connection = await connect(target, {
    recovery: {
      initialDelay: FIRST_DELAY_MS,
      maxDelay: MAX_DELAY_MS,
      initialMaxRetries: targets.count - 1,
      // Listeners must be added before the first connection is open.
      waitForConnect: false,
    },
    noDelay: true,
    ...socketOptionsOf(options, sockets.signal, timeouts),
  });
  const release = (): void => releaseSockets(sockets.signal);
  connection.on('connect', (model: ChannelModel) => {
    destroyAfterClose(model);
    current.succeeded();
  });
  connection.on('disconnect', (reason: Error) => {
    release();
    current.lost(reason);
    moveOn();
  });
  connection.on('connect-failed', () => {
    release();
    current.failed();
    moveOn();
  });
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
