import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { addCleanup } from './cleanup.ts';

/** A relay to a server, which a test can cut while the server runs. */
export interface TcpRelay {
  readonly port: number;
  /** How many connections are open. */
  readonly open: () => number;
  /** How many connections it has accepted so far. */
  readonly accepted: () => number;
  /** Closes all connections and refuses new ones, like a server that is down. */
  cut(): void;
  /** Accepts connections and forwards nothing, like a server that hangs. */
  stall(): void;
  /** Sends nothing to its clients any more and reads nothing, not even that they close, like a machine that is gone. */
  freeze(): void;
  /** Forwards again, for new connections. */
  restore(): void;
}

/** Makes a relay to a port of `host`; it is closed after the test, or after the run. */
export async function makeRelay(port: number, host = '127.0.0.1'): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  const open = new Set<Socket>();
  let accepted = 0;
  let mode: 'pass' | 'stall' | 'refuse' | 'frozen' = 'pass';
  const server = createServer((near) => {
    sockets.add(near);
    accepted += 1;
    open.add(near);
    near.on('error', () => undefined).on('close', () => sockets.delete(near) && open.delete(near));
    if (mode === 'refuse') near.destroy();
    // A socket that is not read does not notice that the other side has closed.
    if (mode === 'stall') near.resume();
    if (mode !== 'pass') return;
    const far = connect(port, host);
    sockets.add(far);
    const end = (): boolean | Socket => mode !== 'frozen' && near.destroy();
    far.on('error', end).on('close', () => sockets.delete(far) && end());
    near.on('close', () => far.destroy());
    near.on('data', (data) => mode === 'pass' && far.write(data));
    far.on('data', (data) => mode === 'pass' && near.write(data));
  });
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(() => {
    endAll();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    open: () => open.size,
    accepted: () => accepted,
    cut() {
      mode = 'refuse';
      endAll();
    },
    stall() {
      mode = 'stall';
    },
    freeze() {
      mode = 'frozen';
      for (const socket of open) socket.pause();
    },
    restore() {
      mode = 'pass';
      endAll();
    },
  };
}
