import type { Socket } from 'node:net';
import { FRAME_HEAD_BYTES } from './amqp-frames.ts';

/** The other side ended the stream, or it broke. */
export class StreamEnded extends Error {}

/** The other side sends what is no frame of a handshake. */
export class NotAFrame extends Error {}

/** The longest frame of a handshake, in bytes; RabbitMQ takes 8192 before the client has agreed to more. */
const MAX_FRAME_BYTES = 65_536;

const EVENTS = ['readable', 'end', 'close'] as const;

/** Reads the handshake from a socket piece by piece. What it has not read stays in the socket. */
export class ByteReader {
  readonly #socket: Socket;
  #wake: () => void = () => undefined;
  readonly #onChange = (): void => this.#wake();

  constructor(socket: Socket) {
    this.#socket = socket;
    // One listener for all reads: each new one would be called for the bytes that are there, again and again.
    for (const event of EVENTS) socket.on(event, this.#onChange);
  }

  /** Leaves the socket to another reader. */
  release(): void {
    for (const event of EVENTS) this.#socket.off(event, this.#onChange);
  }

  /**
   * This many bytes.
   *
   * @throws StreamEnded
   */
  async bytes(count: number): Promise<Buffer> {
    for (;;) {
      if (this.#socket.destroyed) throw this.#ended();
      const bytes = this.#socket.read(count) as Buffer | null;
      if (bytes?.length === count) return bytes;
      if (bytes !== null || this.#socket.readableEnded) throw this.#ended();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /**
   * One whole frame.
   *
   * @throws StreamEnded; NotAFrame
   */
  async frame(): Promise<Buffer> {
    const head = await this.bytes(FRAME_HEAD_BYTES);
    const size = head.readUInt32BE(3);
    // 8 is the highest type of a frame; a header of another protocol begins with the letter A.
    if ((head[0] ?? 0) > 8 || size > MAX_FRAME_BYTES) throw new NotAFrame('These bytes are no frame of a handshake.');
    return Buffer.concat([head, await this.bytes(size + 1)]);
  }

  #ended(): StreamEnded {
    const cause = this.#socket.errored ?? undefined;
    return new StreamEnded(cause?.message ?? 'The stream ended.', { cause });
  }
}
