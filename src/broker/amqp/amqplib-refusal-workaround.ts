import net from 'node:net';
import tls from 'node:tls';

/** What RabbitMQ sends until a connection is open takes some 600 bytes. */
const MAX_BYTES = 8192;
/** In AMQP's numbers: a frame with a method, and the method connection.close. */
const METHOD_FRAME = 1;
const CONNECTION_CLOSE = 0x000a0032;
const FRAME_HEAD_BYTES = 7;

/** What is read of a connection while it opens. */
export interface HandshakeRecord {
  /** Why RabbitMQ has closed the connection; undefined if it has not. */
  reason(): string | undefined;
  stop(): void;
}

/**
 * Records what RabbitMQ sends on the socket that `open` creates.
 *
 * Works around amqplib 2.3.1 (`lib/connection.js`): when RabbitMQ refuses a vhost, or a limit of connections is reached, its
 * error says "Expected ConnectionOpenOk; got <ConnectionClose channel:0>" and drops the reason. amqplib shows neither the
 * frame nor the socket, which it creates before its `connect` returns.
 *
 * No longer needed when test/agent/broker-limits.test.ts passes without this function.
 */
export function recordHandshake(open: () => void): HandshakeRecord {
  const socket = createdSocket(open);
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
  return {
    reason: () => closingText(Buffer.concat(chunks)),
    stop: () => void (socket === undefined || Reflect.deleteProperty(socket, 'read')),
  };
}

/** The socket that `open` creates, if it creates one. */
function createdSocket(open: () => void): net.Socket | undefined {
  let socket: net.Socket | undefined;
  const originals = { net: net.connect, tls: tls.connect };
  const noting =
    (original: (...args: never[]) => net.Socket) =>
    (...args: never[]): net.Socket =>
      (socket = original(...args));
  Object.assign(net, { connect: noting(originals.net) });
  Object.assign(tls, { connect: noting(originals.tls) });
  try {
    open();
    return socket;
  } finally {
    Object.assign(net, { connect: originals.net });
    Object.assign(tls, { connect: originals.tls });
  }
}

/** The text of a connection.close in frames of AMQP. */
function closingText(received: Buffer): string | undefined {
  for (let start = 0; start + FRAME_HEAD_BYTES <= received.length; ) {
    const body = start + FRAME_HEAD_BYTES;
    const end = body + received.readUInt32BE(start + 3);
    if (end > received.length) return undefined;
    if (received[start] === METHOD_FRAME && end - body >= 7 && received.readUInt32BE(body) === CONNECTION_CLOSE) {
      const text = body + 7;
      return received.toString('utf8', text, Math.min(end, text + received.readUInt8(text - 1)));
    }
    start = end + 1;
  }
  return undefined;
}
