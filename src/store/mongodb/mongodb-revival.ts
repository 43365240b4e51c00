import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient, ServerHeartbeatStartedEvent } from 'mongodb';

/** How long a server may hold back its answer to a heartbeat that waits for news, by the driver's default. */
const HEARTBEAT_MS = 10_000;
/** What a busy process may be late by. */
const GRACE_MS = 500;
const RETRY_MS = 500;

/**
 * Connects `client` again when its watch over a server hangs. Driver 7.9.0 waits for ever when it sends a heartbeat
 * on a socket that is destroyed and has not said so yet, as happens when a server dies with all its connections: it
 * then never learns that the server is back. Databases and collections of the client stay usable.
 *
 * @param timeoutMs the client's `connectTimeoutMS`, within which each heartbeat should succeed or fail
 * @returns a function that ends this, to be called before the client is closed
 */
export function reviveWhenStuck(client: MongoClient, timeoutMs: number): () => void {
  const timers = new Map<string, NodeJS.Timeout>();
  const end = new AbortController();
  let reviving = false;

  const settled = ({ connectionId }: { connectionId: string }): void => {
    clearTimeout(timers.get(connectionId));
    timers.delete(connectionId);
  };
  const settleAll = (): void => {
    for (const connectionId of timers.keys()) settled({ connectionId });
  };
  const revive = async (): Promise<void> => {
    reviving = true;
    settleAll();
    await client.close();
    // A client that was closed once does not connect by itself any more.
    while (!end.signal.aborted && !(await connected(client))) {
      await delay(RETRY_MS, undefined, { signal: end.signal, ref: false });
    }
    reviving = false;
    // One that was closed for good while it connected must not stay open.
    if (end.signal.aborted) await client.close();
  };
  const started = ({ connectionId, awaited }: ServerHeartbeatStartedEvent): void => {
    settled({ connectionId });
    if (reviving || end.signal.aborted) return;
    const timer = setTimeout(
      () => void revive().catch(() => undefined),
      timeoutMs + GRACE_MS + (awaited ? HEARTBEAT_MS : 0),
    );
    timers.set(connectionId, timer.unref());
  };

  client.on('serverHeartbeatStarted', started);
  client.on('serverHeartbeatSucceeded', settled);
  client.on('serverHeartbeatFailed', settled);
  client.on('serverClosed', ({ address }) => settled({ connectionId: address }));
  return () => {
    end.abort();
    settleAll();
  };
}

/** Whether connecting succeeded; it takes the client's `serverSelectionTimeoutMS` at most. */
async function connected(client: MongoClient): Promise<boolean> {
  return await client.connect().then(
    () => true,
    () => false,
  );
}
