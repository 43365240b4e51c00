import net from 'node:net';
import tls from 'node:tls';

/** Why RabbitMQ closed a connection. */
export interface CloseReason {
  readonly code: number;
  readonly text: string;
}

/** What is read of a connection while it opens. */
export interface HandshakeRecord<T> {
  /** What the call returned. */
  readonly result: T;
  /** All bytes of the other side, up to {@link MAX_BYTES}. */
  received(): Buffer;
  /** Why RabbitMQ has closed the connection; undefined if it has not. */
  reason(): CloseReason | undefined;
  stop(): void;
}

/** What RabbitMQ sends until a connection is open takes some 600 bytes. */
const MAX_BYTES = 8192;
/** In AMQP's numbers: a frame with a method, and the method connection.close. */
const METHOD_FRAME = 1;
const CONNECTION_CLOSE = 0x000a0032;
const FRAME_HEAD_BYTES = 7;

/**
 * Records what RabbitMQ sends on the socket that `connect` creates.
 *
 * Works around amqplib 2.3.1 (`lib/connection.js`): when RabbitMQ refuses a vhost, or a limit of connections is reached, its
 * error says "Expected ConnectionOpenOk; got <ConnectionClose channel:0>" and drops the reason, without which nothing says
 * whether to try again. amqplib shows neither the frame nor the socket, which it creates before its `connect` returns.
 *
 * No longer needed when test/client/connect-fault.test.ts and test/agent/broker-limits.test.ts pass with the messages of
 * amqplib's errors alone.
 */
export function recordHandshake<T>(connect: () => T): HandshakeRecord<T> {
  const { result, socket } = withCreatedSocket(connect);
  const chunks: Buffer[] = [];
  let bytes = 0;
  if (socket !== undefined) {
    const read = socket.read.bind(socket);
    socket.read = (size?: number) => {
      const chunk: unknown = read(size);
      if (Buffer.isBuffer(chunk) && bytes < MAX_BYTES) {
        chunks.push(chunk);
        bytes += chunk.length;
      }
      return chunk;
    };
  }
  const received = (): Buffer => Buffer.concat(chunks).subarray(0, MAX_BYTES);
  return {
    result,
    received,
    reason: () => closeReasonIn(received()),
    stop: () => void (socket === undefined || Reflect.deleteProperty(socket, 'read')),
  };
}

/** The socket that `create` opens, if it opens one. */
function withCreatedSocket<T>(create: () => T): { readonly result: T; readonly socket: net.Socket | undefined } {
  let socket: net.Socket | undefined;
  const originals = { net: net.connect, tls: tls.connect };
  const taking =
    (original: (...args: never[]) => net.Socket) =>
    (...args: never[]): net.Socket =>
      (socket = original(...args));
  Object.assign(net, { connect: taking(originals.net) });
  Object.assign(tls, { connect: taking(originals.tls) });
  try {
    return { result: create(), socket };
  } finally {
    Object.assign(net, { connect: originals.net });
    Object.assign(tls, { connect: originals.tls });
  }
}

/** The reason in the frames that RabbitMQ has sent; undefined if it has not closed the connection. */
export function closeReasonIn(received: Buffer): CloseReason | undefined {
  for (let start = 0; start + FRAME_HEAD_BYTES <= received.length; ) {
    const body = start + FRAME_HEAD_BYTES;
    const end = body + received.readUInt32BE(start + 3);
    if (end > received.length) return undefined;
    if (received[start] === METHOD_FRAME && end - body >= 7 && received.readUInt32BE(body) === CONNECTION_CLOSE) {
      const textStart = body + 7;
      const text = received.toString('utf8', textStart, Math.min(end, textStart + received.readUInt8(textStart - 1)));
      return { code: received.readUInt16BE(body + 4), text };
    }
    start = end + 1;
  }
  return undefined;
}
