import { type ChannelModel, connect } from 'amqplib';
import type { Secret } from '../secret.ts';

/** What {@link createOnDemandConnection} needs. */
export interface OnDemandConnectionSettings {
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
  close(): Promise<void>;
}

const IDLE_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;

/** Without a connection at first. */
export function createOnDemandConnection(settings: OnDemandConnectionSettings): OnDemandConnection {
  const { amqpUrl, connectionName, ca } = settings;
  let connection: Promise<ChannelModel> | undefined;
  let underWay = 0;
  let idle: NodeJS.Timeout | undefined;

  const open = async (onClosed: () => void): Promise<ChannelModel> => {
    const opened = await connect(amqpUrl.reveal(), {
      timeout: CONNECT_TIMEOUT_MS,
      clientProperties: { connection_name: connectionName },
      ...(ca === undefined ? {} : { ca: [ca] }),
    });
    // Without a listener an error ends the process; what waits on the connection rejects by itself.
    opened.on('error', () => undefined);
    opened.on('close', onClosed);
    return opened;
  };
  const present = (): Promise<ChannelModel> => {
    if (connection !== undefined) return connection;
    const forget = (): void => {
      if (connection === opening) connection = undefined;
    };
    const opening = open(forget);
    opening.catch(forget);
    connection = opening;
    return opening;
  };
  const close = async (): Promise<void> => {
    clearTimeout(idle);
    const closing = connection;
    connection = undefined;
    await (await closing?.catch(() => undefined))?.close().catch(() => undefined);
  };

  return {
    async use(work) {
      clearTimeout(idle);
      underWay += 1;
      try {
        return await work(await present());
      } finally {
        underWay -= 1;
        if (underWay === 0) idle = setTimeout(() => void close(), IDLE_MS).unref();
      }
    },
    close,
  };
}
