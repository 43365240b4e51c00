import { FRAME_HEAD_BYTES, METHOD_FRAME, METHOD_ID, METHOD_ID_BYTES } from './amqp-frames.ts';

const METHOD_HEAD_BYTES = FRAME_HEAD_BYTES + METHOD_ID_BYTES;

/**
 * Where the frames of a stream end. It reads of each frame its head alone, so that a proxy can put a frame of its own
 * between two others without reading what it passes on.
 */
export class FrameCursor {
  /** The head of a frame that arrives in pieces. */
  readonly #head = Buffer.alloc(METHOD_HEAD_BYTES);
  #headBytes = 0;
  #leftBytes = 0;
  #hasClose = false;

  /** Whether the last frame is complete. */
  get isBetweenFrames(): boolean {
    return this.#leftBytes === 0 && this.#headBytes === 0;
  }

  /** Whether the stream has had connection.close or connection.close-ok: the connection is over. */
  get hasClose(): boolean {
    return this.#hasClose;
  }

  /** Follows these bytes. */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) at = this.take(chunk, at);
  }

  /**
   * Follows the bytes from `start` to the end of the frame that they belong to.
   *
   * @returns the place behind the last byte that belongs to this frame
   */
  take(chunk: Buffer, start = 0): number {
    let at = start;
    if (this.#leftBytes === 0) at = this.#takeHead(chunk, at);
    const taken = Math.min(this.#leftBytes, chunk.length - at);
    this.#leftBytes -= taken;
    return at + taken;
  }

  #takeHead(chunk: Buffer, start: number): number {
    if (this.#headBytes === 0 && chunk.length - start >= METHOD_HEAD_BYTES) {
      // The common case, without a copy.
      this.#leftBytes = FRAME_HEAD_BYTES + this.#behindHead(chunk, start);
      if (isConnectionMethod(chunk, start)) this.#readMethod(chunk, start);
      return start;
    }
    for (let at = start; at < chunk.length; ) {
      this.#head[this.#headBytes] = chunk[at] as number;
      this.#headBytes += 1;
      at += 1;
      const wanted = this.#headBytes >= FRAME_HEAD_BYTES && isConnectionMethod(this.#head, 0);
      if (this.#headBytes < (wanted ? METHOD_HEAD_BYTES : FRAME_HEAD_BYTES)) continue;
      if (wanted) this.#readMethod(this.#head, 0);
      this.#leftBytes = Math.max(0, this.#behindHead(this.#head, 0) + FRAME_HEAD_BYTES - this.#headBytes);
      this.#headBytes = 0;
      return at;
    }
    return chunk.length;
  }

  /** The bytes of the payload and of the octet behind it. */
  #behindHead(bytes: Buffer, start: number): number {
    return bytes.readUInt32BE(start + 3) + 1;
  }

  #readMethod(bytes: Buffer, start: number): void {
    const method = bytes.readUInt32BE(start + FRAME_HEAD_BYTES);
    this.#hasClose ||= method === METHOD_ID.close || method === METHOD_ID.closeOk;
  }
}

function isConnectionMethod(bytes: Buffer, start: number): boolean {
  return bytes[start] === METHOD_FRAME && bytes.readUInt16BE(start + 1) === 0;
}
