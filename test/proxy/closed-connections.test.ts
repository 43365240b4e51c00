import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { closeFrame, PROTOCOL_HEADER, startFrame, startOkFrame } from '../../src/proxy/amqp-frames.ts';
import type { AmqpProxyOptions } from '../../src/proxy/amqp-proxy.ts';
import { addCleanup } from '../support/cleanup.ts';
import { heapInUse } from '../support/heap.ts';
import { partial } from '../support/partial.ts';
import { makeProxy, portOf } from '../support/proxy-room.ts';

const CONNECTIONS = 1000;
const CONCURRENCY = 20;

const START_OK = startOkFrame(
  { properties: Buffer.alloc(4), mechanism: 'PLAIN', response: Buffer.alloc(0), locale: 'en_US' },
  { username: 'any', password: 'thing' },
);
/** connection.tune, and connection.close-ok. */
const TUNE = Buffer.from('0100000000000c000a001e07ff000200000000ce', 'hex');
const CLOSE_OK = Buffer.from('01000000000004000a0033ce', 'hex');

/** A server that answers a login and the end of a connection as RabbitMQ does: an agent beside it would change the heap. */
async function startAnswering(): Promise<string> {
  const server = createServer((socket) => {
    const answers = [startFrame(), TUNE, CLOSE_OK];
    socket.on('error', () => undefined);
    socket.on('data', () => {
      socket.write(answers.shift() ?? '');
      if (answers.length === 0) socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  addCleanup(() => void server.close());
  return `amqp://me:pw@127.0.0.1:${(server.address() as AddressInfo).port}/pulse`;
}

describe('closed connections of the AMQP proxy', function () {
  this.timeout(120_000);

  it('leave nothing in its memory, from the moment of their end on', async () => {
    const url = await startAnswering();
    const lease = partial<AmqpProxyOptions['lease']>({ connectionString: url, connectionStrings: [url] });
    const proxy = await makeProxy({ lease });
    const openAndClose = async (): Promise<void> => {
      const socket = connect(portOf(proxy), '127.0.0.1');
      socket.on('error', () => undefined);
      for (const frame of [PROTOCOL_HEADER, START_OK, closeFrame(200, 'bye')]) {
        socket.write(frame);
        await once(socket, 'data');
      }
      const closed = once(socket, 'close');
      socket.end();
      await closed;
    };
    const run = async (count: number): Promise<void> => {
      let left = count;
      const next = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          await openAndClose();
        }
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, next));
    };
    // What is compiled and cached with the first ones does not count.
    await run(CONCURRENCY);
    const before = heapInUse();
    await run(CONNECTIONS);
    const grown = (heapInUse() - before) / CONNECTIONS;
    assert.ok(grown < 3000, `${grown.toFixed(0)} bytes a connection`);
  });
});
