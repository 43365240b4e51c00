import { EventEmitter } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A relay to a server, which can be cut or made slow while the server runs. */
export interface TcpRelay {
  readonly port: number;
  /** How many connections are open. */
  readonly open: () => number;
  /** Emits `change` when a connection was opened or closed. */
  readonly connections: EventEmitter<{ change: [] }>;
  /** How many connections it has accepted so far. */
  readonly accepted: () => number;
  /** Closes all connections and refuses new ones, like a server that is down. */
  cut(): void;
  /** Accepts connections and forwards nothing, like a server that hangs. */
  stall(): void;
  /** Sends nothing to its clients any more and reads nothing, not even that they close, like a machine that is gone. */
  freeze(): void;
  /** Passes on everything this many ms late, in order, like a server that is far or busy. 0: immediately. */
  delay(ms: number): void;
  /** Forwards again, for new connections. */
  restore(): void;
  /** Closes all connections and stops listening. */
  close(): void;
}

/**
 * Starts a relay on a free port of 127.0.0.1.
 *
 * @param target the port of `host`, asked for each connection; undefined: no server is up, and the connection is refused
 */
export async function startRelay(target: () => number | undefined, host = '127.0.0.1'): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  const open = new Set<Socket>();
  const connections = new EventEmitter<{ change: [] }>();
  let accepted = 0;
  let delayMs = 0;
  let mode: 'pass' | 'stall' | 'refuse' | 'frozen' = 'pass';
  /** One timer for each direction, for the oldest piece: two timers that are due together may fire in any order. */
  const forwardTo = (to: Socket): ((data: Buffer) => void) => {
    const late: { readonly data: Buffer; readonly dueMs: number }[] = [];
    const pass = (data: Buffer): boolean => mode === 'pass' && !to.destroyed && to.write(data);
    const passDue = (): void => {
      for (let first = late[0]; first !== undefined; first = late[0]) {
        const leftMs = first.dueMs - performance.now();
        if (leftMs > 0) return void setTimeout(passDue, leftMs).unref();
        pass(first.data);
        late.shift();
      }
    };
    return (data) => {
      if (delayMs === 0 && late.length === 0) return void pass(data);
      late.push({ data, dueMs: performance.now() + delayMs });
      if (late.length === 1) passDue();
    };
  };
  const server = createServer((near) => {
    sockets.add(near);
    accepted += 1;
    open.add(near);
    connections.emit('change');
    near
      .on('error', () => undefined)
      .on('close', () => {
        sockets.delete(near);
        open.delete(near);
        connections.emit('change');
      });
    const port = target();
    if (mode === 'refuse' || (mode === 'pass' && port === undefined)) near.destroy();
    // A socket that is not read does not notice that the other side has closed.
    if (mode === 'stall') near.resume();
    if (mode !== 'pass' || port === undefined) return;
    const far = connect(port, host);
    sockets.add(far);
    const end = (): boolean | Socket => mode !== 'frozen' && near.destroy();
    far.on('error', end).on('close', () => sockets.delete(far) && end());
    near.on('close', () => far.destroy());
    near.on('data', forwardTo(far));
    far.on('data', forwardTo(near));
  });
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    open: () => open.size,
    connections,
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
    delay(ms) {
      delayMs = ms;
    },
    restore() {
      mode = 'pass';
      endAll();
    },
    close() {
      endAll();
      server.close();
    },
  };
}
