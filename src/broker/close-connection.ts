import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelModel, RecoveringChannelModel } from 'amqplib';

/** How long RabbitMQ may take to answer that a connection is closed, in ms. */
export const CLOSE_TIMEOUT_MS = 2000;

/**
 * Closes a connection; one that does not answer in {@link CLOSE_TIMEOUT_MS} is cut. It never rejects.
 *
 * @param current the connection that it has at the moment, if any: what it recovers with is not to be had from it.
 */
export async function closeConnection(
  connection: RecoveringChannelModel,
  current: ChannelModel | undefined,
): Promise<void> {
  const answered = connection.close().then(
    () => true,
    () => true,
  );
  if (await Promise.race([answered, delay(CLOSE_TIMEOUT_MS, false, { ref: false })])) return;
  // amqplib would wait for as long as heartbeats take to fail, and has no other way to end a connection.
  const stream = current?.connection as { readonly stream?: Duplex } | undefined;
  stream?.stream?.destroy(new Error('It does not answer.'));
}
