import type { Duplex } from 'node:stream';
import type { ChannelModel } from 'amqplib';
import { waitAtMost } from '../../util/deadline.ts';
import { type AmqpTarget, amqpTarget, parseAmqpUrls } from '../../contract/url.ts';
import type { Secret } from '../../util/secret.ts';

/** After how long a connection to RabbitMQ counts as lost. */
export interface ConnectionTimeouts {
  /** The pause between two heartbeats; two that are missing close the connection. */
  readonly heartbeatSeconds: number;
  /** How long opening may take, login included. */
  readonly connectTimeoutMs: number;
}

/** RabbitMQ proposes a heartbeat of a minute: a cut without a packet would be detected after two or three minutes. */
export const CONNECTION_TIMEOUTS: ConnectionTimeouts = { heartbeatSeconds: 10, connectTimeoutMs: 10_000 };

/** How long RabbitMQ may take to confirm that a connection is closed, in ms. */
export const CLOSE_TIMEOUT_MS = 2000;

interface ConnectionOptions {
  /** The name that RabbitMQ shows for the connection. */
  readonly connectionName: string;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** What amqplib connects to, with the heartbeat of the URLs or else of the time-outs. They hold the password. */
export function targetsOf(
  amqpUrl: Secret,
  { heartbeatSeconds }: ConnectionTimeouts = CONNECTION_TIMEOUTS,
): AmqpTarget[] {
  return parseAmqpUrls(amqpUrl.reveal()).map((url) => ({ heartbeat: heartbeatSeconds, ...amqpTarget(url) }));
}

/**
 * The options of the socket.
 *
 * @param signal cuts the socket; amqplib passes it to Node, though its types lack it
 */
export function socketOptionsOf(
  { connectionName, ca }: ConnectionOptions,
  signal: AbortSignal,
  { connectTimeoutMs }: ConnectionTimeouts = CONNECTION_TIMEOUTS,
) {
  return {
    timeout: connectTimeoutMs,
    clientProperties: { connection_name: connectionName },
    signal,
    ...(ca === undefined ? {} : { ca: [ca] }),
  };
}

/**
 * Destroys the socket of a connection that is closed, unless the socket closes in {@link CLOSE_TIMEOUT_MS}: amqplib only ends
 * it, and the end never arrives where RabbitMQ reads nothing or a packet is lost.
 */
export function destroyAfterClose(connection: ChannelModel): void {
  // amqplib's types lack the socket.
  const { stream } = connection.connection as unknown as { readonly stream: Duplex };
  connection.once('close', () => {
    if (stream.destroyed) return;
    const timer = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS).unref();
    stream.once('close', () => clearTimeout(timer));
  });
}

/**
 * Closes a connection, also one that is recovering, and cuts it when RabbitMQ does not answer in {@link CLOSE_TIMEOUT_MS}.
 * It never rejects.
 *
 * @param sockets aborts all sockets of the connection. amqplib alone would wait until heartbeats fail, and leave a socket
 *   open that is connecting
 */
export async function closeConnection(
  connection: Pick<ChannelModel, 'close'>,
  sockets: AbortController,
): Promise<void> {
  await waitAtMost(CLOSE_TIMEOUT_MS, connection.close());
  sockets.abort();
}
