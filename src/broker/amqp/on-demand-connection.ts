import { type ChannelModel, connect } from 'amqplib';
import { type AmqpAddresses, connectInTurn, openTargets } from './connect-in-turn.ts';
import { closeConnection, destroyAfterClose, socketOptionsOf } from './connection.ts';

interface OnDemandConnectionOptions extends AmqpAddresses {
  /** The name that RabbitMQ shows for the connection. */
  readonly connectionName: string;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** An AMQP connection for rare use: opened on demand, closed after five idle seconds. */
export interface OnDemandConnection {
  /** Runs `work` with the connection. Rejects when it cannot be opened, and as `work` does. */
  use<T>(work: (connection: ChannelModel) => Promise<T>): Promise<T>;
  /** Closes it, also while it opens; cuts it when RabbitMQ does not answer in time. */
  close(): Promise<void>;
}

interface Opened {
  readonly connection: Promise<ChannelModel>;
  readonly sockets: AbortController;
}

const IDLE_MS = 5_000;

/** Creates it, closed. */
export function createOnDemandConnection(options: OnDemandConnectionOptions): OnDemandConnection {
  let current: Opened | undefined;
  let users = 0;
  let idle: NodeJS.Timeout | undefined;

  const targets = openTargets(options);

  const open = (signal: AbortSignal, onClosed: () => void): Promise<ChannelModel> =>
    connectInTurn(
      targets,
      async ({ target, lost }) => {
        const connection = await connect(target, socketOptionsOf(options, signal));
        // Without a listener an error ends the process; what waits on the connection rejects anyway.
        connection.on('error', () => undefined);
        connection.on('close', (reason?: Error) => {
          if (reason !== undefined) lost(reason);
          onClosed();
        });
        destroyAfterClose(connection);
        return connection;
      },
      () => !signal.aborted,
    );
  const connected = (): Promise<ChannelModel> => {
    if (current !== undefined) return current.connection;
    const forget = (): void => {
      if (current === opened) current = undefined;
    };
    const sockets = new AbortController();
    const opened = { sockets, connection: open(sockets.signal, forget) };
    opened.connection.catch(forget);
    current = opened;
    return opened.connection;
  };
  const close = async (): Promise<void> => {
    clearTimeout(idle);
    const closing = current;
    current = undefined;
    if (closing === undefined) return;
    await closeConnection({ close: async () => await (await closing.connection).close() }, closing.sockets);
  };

  return {
    async use(work) {
      clearTimeout(idle);
      users += 1;
      try {
        return await work(await connected());
      } finally {
        users -= 1;
        if (users === 0) idle = setTimeout(() => void close(), IDLE_MS).unref();
      }
    },
    close,
  };
}
