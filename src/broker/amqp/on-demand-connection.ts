import { type ChannelModel, connect } from 'amqplib';
import type { Secret } from '../../util/secret.ts';
import { closeConnection } from './close-connection.ts';
import { CONNECTION_TIMEOUTS, withHeartbeat } from './connection-timeouts.ts';

/** What {@link createOnDemandConnection} needs. */
export interface OnDemandConnectionOptions {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  /** What RabbitMQ shows the connection as. */
  readonly connectionName: string;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** An AMQP connection for what is rare: opened when it is used, closed when it has been idle for a while. */
export interface OnDemandConnection {
  /** Works with the connection. Rejects when it cannot be opened, and as `work` does. */
  use<T>(work: (connection: ChannelModel) => Promise<T>): Promise<T>;
  /** Closes it, by force when that takes more than a moment; one that is being opened comes to nothing. */
  close(): Promise<void>;
}

interface Present {
  readonly opening: Promise<ChannelModel>;
  readonly sockets: AbortController;
}

const IDLE_MS = 5_000;

/** Without a connection at first. */
export function createOnDemandConnection(settings: OnDemandConnectionOptions): OnDemandConnection {
  const { amqpUrl, connectionName, ca } = settings;
  let present: Present | undefined;
  let underWay = 0;
  let idle: NodeJS.Timeout | undefined;

  const open = async (signal: AbortSignal, onClosed: () => void): Promise<ChannelModel> => {
    const cut = { signal };
    const opened = await connect(withHeartbeat(amqpUrl, CONNECTION_TIMEOUTS), {
      timeout: CONNECTION_TIMEOUTS.connectTimeoutMs,
      clientProperties: { connection_name: connectionName },
      ...(ca === undefined ? {} : { ca: [ca] }),
      ...cut,
    });
    // Without a listener an error ends the process; what waits on the connection rejects by itself.
    opened.on('error', () => undefined);
    opened.on('close', onClosed);
    return opened;
  };
  const connection = (): Promise<ChannelModel> => {
    if (present !== undefined) return present.opening;
    const forget = (): void => {
      if (present === made) present = undefined;
    };
    const sockets = new AbortController();
    const made = { sockets, opening: open(sockets.signal, forget) };
    made.opening.catch(forget);
    present = made;
    return made.opening;
  };
  const close = async (): Promise<void> => {
    clearTimeout(idle);
    const closing = present;
    present = undefined;
    if (closing === undefined) return;
    const opened = closing.opening;
    await closeConnection({ close: async () => await (await opened).close() }, closing.sockets);
  };

  return {
    async use(work) {
      clearTimeout(idle);
      underWay += 1;
      try {
        return await work(await connection());
      } finally {
        underWay -= 1;
        if (underWay === 0) idle = setTimeout(() => void close(), IDLE_MS).unref();
      }
    },
    close,
  };
}
