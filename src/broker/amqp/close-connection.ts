import type { ChannelModel } from 'amqplib';
import { waitAtMost } from '../../util/deadline.ts';

/** How long RabbitMQ may take to confirm that a connection is closed, in ms. */
export const CLOSE_TIMEOUT_MS = 2000;

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
