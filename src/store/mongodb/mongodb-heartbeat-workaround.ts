import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient, ServerHeartbeatStartedEvent } from 'mongodb';

/** How long a server may hold back its answer to a streaming heartbeat, by the driver's default. */
const HEARTBEAT_MS = 10_000;
/** How late the timers of a busy process may be. */
const GRACE_MS = 500;
const RETRY_MS = 500;

/**
 * Reconnects `client` when its monitor of a server hangs. Databases and collections of the client stay usable.
 *
 * The fault: driver 7.9.0 waits for ever when it sends a heartbeat on a socket that is destroyed but has not emitted `close`
 * yet, as happens when a server dies with all its connections. It then never notices that the server is back. The
 * work-around can go when `test/store/mongodb/mongodb-store.test.ts` ("when the server is gone") passes repeatedly without it.
 *
 * @param timeoutMs the client's `connectTimeoutMS`, within which each heartbeat should succeed or fail
 * @returns a function that stops the watch, to be called before the client is closed
 */
export function reconnectWhenMonitorHangs(client: MongoClient, timeoutMs: number): () => void {
  const timers = new Map<string, NodeJS.Timeout>();
  const stopped = new AbortController();
  let reconnecting = false;

  const clear = ({ connectionId }: { connectionId: string }): void => {
    clearTimeout(timers.get(connectionId));
    timers.delete(connectionId);
  };
  const clearAll = (): void => {
    for (const connectionId of timers.keys()) clear({ connectionId });
  };
  const reconnect = async (): Promise<void> => {
    reconnecting = true;
    clearAll();
    await client.close();
    // A client that was closed once no longer connects by itself.
    while (!stopped.signal.aborted && !(await tryToConnect(client))) {
      await delay(RETRY_MS, undefined, { signal: stopped.signal, ref: false });
    }
    reconnecting = false;
    // A client that was closed for good while it connected must not stay open.
    if (stopped.signal.aborted) await client.close();
  };
  const onStarted = ({ connectionId, awaited }: ServerHeartbeatStartedEvent): void => {
    clear({ connectionId });
    if (reconnecting || stopped.signal.aborted) return;
    const limitMs = timeoutMs + GRACE_MS + (awaited ? HEARTBEAT_MS : 0);
    const timer = setTimeout(() => void reconnect().catch(() => undefined), limitMs);
    timers.set(connectionId, timer.unref());
  };

  client.on('serverHeartbeatStarted', onStarted);
  client.on('serverHeartbeatSucceeded', clear);
  client.on('serverHeartbeatFailed', clear);
  client.on('serverClosed', ({ address }) => clear({ connectionId: address }));
  return () => {
    stopped.abort();
    clearAll();
  };
}

/** Returns whether the client is connected now. Takes at most the client's `serverSelectionTimeoutMS`. */
async function tryToConnect(client: MongoClient): Promise<boolean> {
  return await client.connect().then(
    () => true,
    () => false,
  );
}
