import { once } from 'node:events';
import type { ChannelModel } from 'amqplib';
import { closeRpcConnection, connectTo } from '../src/client/amqp-connection.ts';
import { pause } from './pause.ts';

const RETRY_MS = 500;
const HEARTBEAT_SECONDS = 5;

/**
 * Keeps a connection of the run itself: opens it again whenever it ends, until the signal aborts.
 *
 * @param onEnd receives why a connection that was open has ended
 */
export async function keepConnection(
  url: string,
  setUp: (connection: ChannelModel) => Promise<void>,
  signal: AbortSignal,
  onEnd: (error: Error | undefined) => void = () => undefined,
): Promise<void> {
  while (!signal.aborted) {
    let connection: ChannelModel | undefined;
    try {
      connection = await connectTo(url, { heartbeatSeconds: HEARTBEAT_SECONDS, signal });
      let error: Error | undefined;
      connection.on('error', (cause: Error) => (error = cause));
      const ended = new AbortController();
      connection.once('close', (cause?: Error) => {
        error ??= cause;
        ended.abort();
      });
      await setUp(connection);
      if (!ended.signal.aborted) await once(ended.signal, 'abort', { signal });
      onEnd(error);
    } catch {
      // It cannot be opened or set up now, or the signal aborted.
      if (connection !== undefined) await closeRpcConnection(connection);
    }
    await pause(RETRY_MS, signal);
  }
}
