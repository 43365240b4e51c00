import type { ChannelModel } from 'amqplib';

/** The parts of amqplib's connection that have to do with frames; its types do not have them. */
interface FrameReceiver {
  /** Bytes that have come and are not read yet. */
  rest: Buffer;
  /** Reads and decodes the next frame, or returns false when it is not all there. */
  recvFrame(): unknown;
}

const HEADER_FRAME = 2;
/** Type, channel and size of a frame. */
const FRAME_START_BYTES = 7;
/** Class, weight and size of the body. */
const CONTENT_HEADER_BYTES = 12;

/**
 * Keeps a connection alive when the properties of a message cannot be decoded: the message then comes without any, and
 * with a header `unreadable` that says why.
 *
 * amqplib decodes on the stack, and gives the connection up when it cannot: arrays in arrays, which the broker passes on,
 * overflow it. The broker would deliver such a message again and again, and each time all requests that were under way
 * with it; a single one would stop an agent for many seconds and push the others over their delivery limit.
 */
export function tolerateUndecodableHeaders(model: ChannelModel): void {
  const connection: unknown = Reflect.get(model, 'connection');
  if (!isFrameReceiver(connection)) return;
  const receive = connection.recvFrame.bind(connection);
  connection.recvFrame = () => {
    const before = connection.rest;
    try {
      return receive();
    } catch (error) {
      // While the bytes are still there it is the framing that is broken, and nothing can be said about what follows.
      const frame = connection.rest === before ? undefined : emptyHeader(before, error);
      if (frame === undefined) throw error;
      return frame;
    }
  };
}

function emptyHeader(bytes: Buffer, error: unknown): object | undefined {
  if (bytes.length < FRAME_START_BYTES + CONTENT_HEADER_BYTES || bytes[0] !== HEADER_FRAME) return undefined;
  const reason = error instanceof Error ? error.message : 'unknown';
  return {
    id: bytes.readUInt16BE(FRAME_START_BYTES),
    channel: bytes.readUInt16BE(1),
    size: Number(bytes.readBigUInt64BE(FRAME_START_BYTES + 4)),
    fields: { headers: { unreadable: reason } },
  };
}

function isFrameReceiver(value: unknown): value is FrameReceiver {
  return (
    typeof value === 'object' &&
    value !== null &&
    'recvFrame' in value &&
    typeof value.recvFrame === 'function' &&
    'rest' in value &&
    Buffer.isBuffer(value.rest)
  );
}
