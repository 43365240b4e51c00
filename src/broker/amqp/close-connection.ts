import type { ChannelModel } from 'amqplib';
import { waitAtMost } from '../../util/deadline.ts';

/** How long RabbitMQ may take to answer that a connection is closed, in ms. */
export const CLOSE_TIMEOUT_MS = 2000;

/**
 * Closes a connection, one that is recovering too, and cuts it when RabbitMQ has not answered in {@link CLOSE_TIMEOUT_MS}.
 * It never rejects.
 *
 * @param sockets whose signal is that of all the connection's sockets. amqplib itself would wait for as long as heartbeats
 *   take to fail, and forgets one that is being opened.
 */
export async function closeConnection(
  connection: Pick<ChannelModel, 'close'>,
  sockets: AbortController,
): Promise<void> {
  await waitAtMost(CLOSE_TIMEOUT_MS, connection.close());
  sockets.abort();
}
