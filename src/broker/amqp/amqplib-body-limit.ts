import type { ChannelModel } from 'amqplib';

/** A frame as amqplib decodes it: a method, a content header, or a part of a body. */
interface Frame {
  readonly channel?: number;
  /** Of a content header: the size of the body, in bytes. */
  size?: number;
  /** Of a content header: the properties. Of a method: its arguments. */
  fields?: object;
  readonly id?: number;
  /** Of a body frame. */
  readonly content?: Buffer;
}

/** What amqplib's connection has and its types do not. */
interface FrameReceiver {
  /** Reads and decodes the next frame, or returns false when it has not arrived whole. */
  recvFrame(): Frame | false | undefined;
}

/** Class `basic`, method 0: the id that amqplib gives to the content header of a message. */
const BASIC_PROPERTIES = 60;

/** The property by which {@link bodyBytesOf} finds the real size of a body that was dropped. */
const DROPPED_BYTES = 'pulseAgentDroppedBytes';

/**
 * Makes a connection drop bodies of more than `maxBytes` as their frames arrive: the message is delivered with an empty
 * body, and {@link bodyBytesOf} tells its real size.
 *
 * Upstream: amqplib 2.3.1 collects the whole body before it delivers a message, and RabbitMQ takes messages of up to
 * 128 MiB (`max_message_size`). Eight of them in flight cost the agent 430 MB. The work-around can go once amqplib hands
 * out bodies as streams or has a limit of its own: the test of this file then passes without the call.
 */
export function limitBodies(model: ChannelModel, maxBytes: number): void {
  const connection: unknown = Reflect.get(model, 'connection');
  if (!isFrameReceiver(connection)) return;
  const receive = connection.recvFrame.bind(connection);
  /** By channel: bytes of a dropped body that are still to come. */
  const toDrop = new Map<number, number>();
  connection.recvFrame = () => {
    for (;;) {
      const frame = receive();
      if (!frame || frame.channel === undefined) return frame;
      const left = toDrop.get(frame.channel);
      if (frame.content !== undefined && left !== undefined) {
        if (left <= frame.content.length) toDrop.delete(frame.channel);
        else toDrop.set(frame.channel, left - frame.content.length);
        continue;
      }
      if (frame.id === BASIC_PROPERTIES && frame.size !== undefined && frame.size > maxBytes) {
        toDrop.set(frame.channel, frame.size);
        frame.fields = { ...frame.fields, [DROPPED_BYTES]: frame.size };
        frame.size = 0;
      }
      return frame;
    }
  };
}

/** The size of the body that RabbitMQ delivered, in bytes, whether or not {@link limitBodies} dropped it. */
export function bodyBytesOf(message: { readonly content: Buffer; readonly properties: object }): number {
  const dropped: unknown = Reflect.get(message.properties, DROPPED_BYTES);
  return typeof dropped === 'number' ? dropped : message.content.length;
}

function isFrameReceiver(value: unknown): value is FrameReceiver {
  return typeof value === 'object' && value !== null && 'recvFrame' in value && typeof value.recvFrame === 'function';
}
