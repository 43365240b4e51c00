import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import { closeReasonIn } from '../../src/contract/amqplib-handshake-workaround.ts';
import { openFrame, PROTOCOL_HEADER, startOkFrame } from '../../src/proxy/amqp-frames.ts';
import type { AmqpProxy, AmqpProxyOptions } from '../../src/proxy/amqp-proxy.ts';
import { useInstallation } from '../support/agent.ts';
import { manage } from '../support/broker.ts';
import { makeLease, makeProxy, openSocket, portOf, received } from '../support/proxy-room.ts';
import { waitUntil } from '../support/watched-installation.ts';

const START_OK = startOkFrame(
  { properties: Buffer.alloc(4), mechanism: 'PLAIN', response: Buffer.alloc(0), locale: 'en_US' },
  { username: 'any', password: 'thing' },
);
/** Channels up to 2047, frames of 131,072 bytes, no heartbeat. */
const TUNE_OK = frameOf(0, 0x000a001f, Buffer.from([0x07, 0xff, 0, 2, 0, 0, 0, 0]));
const OPEN_CHANNEL = frameOf(1, 0x0014000a, Buffer.of(0));
const CHANNEL_IS_OPEN = 0x0014000b;

function frameOf(channel: number, method: number, fields: Buffer): Buffer {
  const head = Buffer.alloc(11);
  head.writeUInt8(1, 0);
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(4 + fields.length, 3);
  head.writeUInt32BE(method, 7);
  return Buffer.concat([head, fields, Buffer.of(0xce)]);
}

/** Reads whole frames until one has this method, on any channel. */
async function untilMethod(socket: Socket, wanted: number): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  const seen: string[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= 7 && rest.length >= 8 + rest.readUInt32BE(3)) {
      const method = rest.readUInt32BE(7);
      seen.push(method.toString(16));
      if (method === wanted) return;
      rest = rest.subarray(8 + rest.readUInt32BE(3));
    }
  }
  assert.fail(`The connection was closed after ${seen.join(', ')} ${rest.toString('latin1')}`);
}

describe('what a client of the AMQP proxy begins with', function () {
  this.timeout(60_000);
  const installation = useInstallation();

  async function proxyWith(options: Partial<AmqpProxyOptions> = {}): Promise<AmqpProxy> {
    return await makeProxy({ lease: await makeLease(installation()), ...options });
  }

  const vhost = (): string => installation().config.vhost;

  /** Everything up to the first channel. */
  const wholeBeginning = (opened: string): Buffer =>
    Buffer.concat([PROTOCOL_HEADER, START_OK, TUNE_OK, openFrame(opened), OPEN_CHANNEL]);

  it('may be all of it in one packet, up to the first channel', async () => {
    const socket = openSocket(portOf(await proxyWith()));
    socket.write(wholeBeginning(vhost()));
    await untilMethod(socket, CHANNEL_IS_OPEN);
  });

  it('may be all of it in one packet, with another vhost than the one that is opened', async () => {
    const socket = openSocket(portOf(await proxyWith({ vhost: vhost() })));
    socket.write(wholeBeginning('no-such-vhost'));
    await untilMethod(socket, CHANNEL_IS_OPEN);
  });

  it('may arrive byte by byte', async () => {
    for (const options of [{}, { vhost: vhost() }]) {
      const socket = openSocket(portOf(await proxyWith(options)));
      const sent = (async () => {
        for (const byte of wholeBeginning(vhost())) {
          socket.write(Buffer.of(byte));
          await delay(1);
        }
      })();
      await untilMethod(socket, CHANNEL_IS_OPEN);
      await sent;
    }
  });

  it('may be another protocol, which is answered as RabbitMQ does', async () => {
    const proxy = await proxyWith();
    const begins = {
      'AMQP 0-10': Buffer.from('AMQP\x01\x01\0\x0a', 'latin1'),
      'AMQP 7': Buffer.from('AMQP\0\x07\0\0', 'latin1'),
      // Eight bytes as well: a socket that is closed with unread bytes is reset, and its answer may be lost.
      TLS: Buffer.from('1603010200010000', 'hex'),
      HTTP: Buffer.from('GET / HT'),
    };
    for (const [what, bytes] of Object.entries(begins)) {
      const answers = [portOf(proxy), installation().broker.amqpPort].map(async (port) => {
        const socket = openSocket(port);
        socket.write(bytes);
        return await received(socket);
      });
      const [own, brokers] = await Promise.all(answers);
      assert.deepEqual(own, brokers, what);
      assert.deepEqual(own, PROTOCOL_HEADER, what);
    }
    // RabbitMQ 4 would speak it. The login of AMQP 1.0 is another one.
    const socket = openSocket(portOf(proxy));
    socket.write(Buffer.from('AMQP\x03\x01\0\0', 'latin1'));
    assert.deepEqual(await received(socket), PROTOCOL_HEADER);
    await waitUntil(() => proxy.connections === 0, 'none is left');
  });

  it('may be TLS: the client fails, and nothing is left', async () => {
    const proxy = await proxyWith();
    await assert.rejects(connect(proxy.url.replace('amqp:', 'amqps:')), /wrong version number|EPROTO/);
    await waitUntil(() => proxy.connections === 0, 'none is left');
  });

  it('may not be a frame of something other than a login: 501', async () => {
    const proxy = await proxyWith();
    for (const bytes of [Buffer.alloc(20, 0xff), Buffer.alloc(20, 1), openFrame('/')]) {
      const socket = openSocket(portOf(proxy));
      socket.write(Buffer.concat([PROTOCOL_HEADER, bytes]));
      assert.equal(closeReasonIn(await received(socket))?.code, 501);
    }
  });

  describe('may not stop in the midst', () => {
    const parts = [PROTOCOL_HEADER, START_OK, TUNE_OK];
    const whole = Buffer.concat(parts);

    it('of the header: the connection is closed', async () => {
      const proxy = await proxyWith({ handshakeMs: 300 });
      for (const bytes of [0, 5]) {
        const socket = openSocket(portOf(proxy));
        socket.write(PROTOCOL_HEADER.subarray(0, bytes));
        assert.equal((await received(socket)).length, 0);
      }
      await waitUntil(() => proxy.connections === 0, 'none is left');
    });

    it('of the login or before the vhost: 320 with the reason', async () => {
      const proxy = await proxyWith({ handshakeMs: 1000, vhost: vhost() });
      const ends = [
        PROTOCOL_HEADER.length,
        PROTOCOL_HEADER.length + 9,
        whole.length - TUNE_OK.length,
        whole.length - 3,
      ];
      await Promise.all(
        ends.map(async (end) => {
          const socket = openSocket(portOf(proxy));
          socket.write(whole.subarray(0, end));
          const { code, text } = closeReasonIn(await received(socket)) ?? {};
          assert.equal(code, 320, `${end} bytes`);
          assert.match(text ?? '', /has not opened its connection within 1 s/);
        }),
      );
      await waitUntil(() => proxy.connections === 0, 'none is left');
    });

    it('and then end its side, or be cut off: nothing is left, here and at RabbitMQ', async () => {
      const lease = await makeLease(installation());
      const proxy = await makeProxy({ lease });
      const open = wholeBeginning(vhost());
      const ends = [3, PROTOCOL_HEADER.length, PROTOCOL_HEADER.length + 9, whole.length, open.length];
      await Promise.all(
        ends.flatMap((end) =>
          (['end', 'resetAndDestroy'] as const).map(async (how) => {
            const socket = openSocket(portOf(proxy));
            await new Promise((resolve) => socket.write(open.subarray(0, end), resolve));
            if (end === open.length) await untilMethod(socket, CHANNEL_IS_OPEN);
            const closed = once(socket, 'close');
            socket[how]();
            socket.resume();
            await closed;
          }),
        ),
      );
      await waitUntil(() => proxy.connections === 0, 'none is left');
      const { username } = new URL(lease.connectionString);
      await waitUntil(async () => {
        const { body } = await manage(installation().broker, 'GET', `/connections/username/${username}`);
        return (body as unknown[]).length === 0;
      }, 'RabbitMQ lists none');
    });
  });
});
