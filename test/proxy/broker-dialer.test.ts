import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { systemTime, type Time } from '../../src/client/time.ts';
import { startFrame } from '../../src/proxy/amqp-frames.ts';
import { BrokerDialer } from '../../src/proxy/broker-dialer.ts';
import { addCleanup } from '../support/cleanup.ts';

/** Longer than a dialer waits for an address of several. */
const PATIENCE_MS = 30_000;

const never = new AbortController().signal;

/** Starts a server that does this with each connection; its URL. */
async function serve(accept: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    accept(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  addCleanup(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `amqp://me:pw@127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const dialerOf = (urls: readonly string[], time: Time = systemTime): BrokerDialer =>
  new BrokerDialer({ urls: () => urls, ca: undefined, time });

describe('the dialer of the AMQP proxy', function () {
  this.timeout(PATIENCE_MS);

  it('reaches the one address of many that answers, wherever it is in the list', async () => {
    const stalled = await serve(() => undefined);
    // As one that is far away.
    const answering = await serve((socket) => void setTimeout(() => socket.write(startFrame()), 100));
    await Promise.all(
      [0, 1, 2, 3].map(async (place) => {
        const urls = Array.from({ length: 4 }, (_, address) => (address === place ? answering : stalled));
        const time = { ...systemTime, random: () => 0 };
        const { socket } = await dialerOf(urls, time).dial(never);
        assert.equal(socket.remotePort, Number(new URL(answering).port), `place ${place}`);
        socket.destroy();
      }),
    );
  });

  it('makes no last attempt that would be too short, and says why the one before failed', async () => {
    let nowMs = 0;
    const time: Time = {
      ...systemTime,
      monotonicMs: () => nowMs,
      // The next attempt is a little later than wanted each time, as on a busy machine.
      sleep: async (ms) => void (nowMs += ms + 9),
    };
    let attempts = 0;
    const url = await serve((socket) => {
      attempts += 1;
      if (nowMs < 3900) socket.destroy();
    });
    await assert.rejects(dialerOf([url], time).dial(never), (error: Error) => {
      assert.ok(!/no answer within/.test(error.message), error.message);
      return true;
    });
    assert.ok(attempts > 10, `${attempts} attempts`);
  });
});
