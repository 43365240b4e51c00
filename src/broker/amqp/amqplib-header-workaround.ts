import type { ChannelModel } from 'amqplib';

/** The part of amqplib's connection that reads frames; its types lack it. */
interface FrameReceiver {
  /** Bytes received and not yet read. */
  rest: Buffer;
  /** Decodes the next frame; returns false when it is incomplete. */
  recvFrame(): unknown;
}

const HEADER_FRAME = 2;
/** Type, channel and size of a frame. */
const FRAME_START_BYTES = 7;
/** Class, weight and size of the body. */
const CONTENT_HEADER_BYTES = 12;

/**
 * Keeps a connection open when the properties of a message cannot be decoded: the message is delivered with a single header
 * `unreadable`, which says why.
 *
 * Works around amqplib 2.3.1 (`lib/codec.js`): it decodes headers recursively and closes the connection when that fails.
 * Nested arrays, which the broker accepts from any client, overflow the stack. The broker redelivers such a message, and
 * with it every request in flight: one message would stop an agent for seconds and push other requests over their delivery
 * limit.
 *
 * No longer needed when test/agent/unreadable-headers.test.ts passes without this function.
 */
export function tolerateUndecodableHeaders(model: ChannelModel): void {
  const connection: unknown = Reflect.get(model, 'connection');
  if (!isFrameReceiver(connection)) return;
  const recvFrame = connection.recvFrame.bind(connection);
  connection.recvFrame = () => {
    const before = connection.rest;
    try {
      return recvFrame();
    } catch (error) {
      // Where amqplib has not consumed the bytes, the framing itself is broken, and so is all that follows.
      const frame = connection.rest === before ? undefined : unreadableHeader(before, error);
      if (frame === undefined) throw error;
      return frame;
    }
  };
}

function unreadableHeader(bytes: Buffer, error: unknown): object | undefined {
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
