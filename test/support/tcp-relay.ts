import { startRelay, type TcpRelay } from '../../dev/tcp-relay.ts';
import { addCleanup } from './cleanup.ts';

export type { TcpRelay };

/** Makes a relay to a port of `host`; it is closed after the test, or after the file. */
export async function makeRelay(port: number, host = '127.0.0.1'): Promise<TcpRelay> {
  const relay = await startRelay(() => port, host);
  addCleanup(() => relay.close());
  return relay;
}
