import { type AddressInfo, createServer, type Socket } from 'node:net';
import { BSON } from 'mongodb';
import { addCleanup } from './cleanup.ts';

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const HEADER_BYTES = 16;

/**
 * Serves MongoDB's protocol as Amazon DocumentDB does for a write that may be retried: it calls itself a replica set and
 * refuses the write. Every collection is empty. Closed after the test, or after the file.
 *
 * @returns its URL
 */
export async function makeMongoWithoutRetries(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= HEADER_BYTES && received.length >= received.readInt32LE(0)) {
        const length = received.readInt32LE(0);
        socket.write(answerTo(received.subarray(0, length), (server.address() as AddressInfo).port));
        received = received.subarray(length);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}/?directConnection=true`;
}

function answerTo(message: Buffer, port: number): Buffer {
  const id = message.readInt32LE(4);
  if (message.readInt32LE(12) === OP_QUERY) {
    const query = message.indexOf(0, HEADER_BYTES + 4) + 1 + 8;
    return framed(OP_REPLY, id, [
      int32(8, 0, 0, 0, 1),
      BSON.serialize(reply(BSON.deserialize(message.subarray(query)), port)),
    ]);
  }
  // The first section is a document: the command without its long lists.
  const start = HEADER_BYTES + 5;
  const command = BSON.deserialize(message.subarray(start, start + message.readInt32LE(start)));
  return framed(OP_MSG, id, [int32(0), Buffer.from([0]), BSON.serialize(reply(command, port))]);
}

function reply(command: BSON.Document, port: number): BSON.Document {
  if ('hello' in command || 'isMaster' in command || 'ismaster' in command) {
    const me = `127.0.0.1:${port}`;
    const roles = { isWritablePrimary: true, ismaster: true, setName: 'rs0', hosts: [me], me, helloOk: true };
    return { ...roles, logicalSessionTimeoutMinutes: 30, minWireVersion: 0, maxWireVersion: 21, ok: 1 };
  }
  if ('find' in command) return { cursor: { id: BSON.Long.ZERO, ns: 'pulse-agent.x', firstBatch: [] }, ok: 1 };
  if ('txnNumber' in command) return { ok: 0, code: 301, errmsg: 'Retryable writes are not supported' };
  return { ok: 1 };
}

function framed(opcode: number, inResponseTo: number, parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(HEADER_BYTES + body.length, 1, inResponseTo, opcode), body]);
}

function int32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeInt32LE(value, 4 * index);
  return bytes;
}
