import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { startRelay } from '../../dev/tcp-relay.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createCondition } from '../support/condition.ts';

describe('a relay', () => {
  async function echoServer(): Promise<number> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    addCleanup(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }

  async function connectTo(port: number): Promise<{ socket: Socket; received: (length: number) => Promise<string> }> {
    const socket = connect(port, '127.0.0.1');
    const condition = createCondition();
    let text = '';
    socket
      .on('error', () => undefined)
      .on('data', (data) => {
        text += data.toString();
        condition.notify();
      });
    addCleanup(() => void socket.destroy());
    await once(socket, 'connect');
    return {
      socket,
      received: (length) =>
        condition.wait(() => (text.length >= length ? text : undefined), { failure: () => `Only ${text} arrived.` }),
    };
  }

  it('passes everything on late and in order, also when the delay becomes shorter', async () => {
    const port = await echoServer();
    const relay = await startRelay(() => port);
    addCleanup(() => relay.close());
    const { socket, received } = await connectTo(relay.port);
    socket.setNoDelay(true);
    const startedMs = performance.now();
    relay.delay(200);
    socket.write('first ');
    await new Promise<void>((resolve) => socket.write('second ', () => setTimeout(resolve, 20)));
    relay.delay(0);
    socket.write('third');
    assert.equal(await received(18), 'first second third');
    // Timers may fire a millisecond early.
    assert.ok(performance.now() - startedMs >= 195);
  });

  it('asks for each connection where it leads, and refuses it when no server is up', async () => {
    const ports: (number | undefined)[] = [undefined, await echoServer()];
    const relay = await startRelay(() => ports.shift());
    addCleanup(() => relay.close());
    const refused = await connectTo(relay.port);
    if (!refused.socket.destroyed) await once(refused.socket, 'close');
    const { socket, received } = await connectTo(relay.port);
    socket.write('hello');
    assert.equal(await received(5), 'hello');
    assert.equal(relay.accepted(), 2);
  });
});
