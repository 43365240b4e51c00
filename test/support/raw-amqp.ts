import { connect, type Socket } from 'node:net';

const METHOD = 1;
const HEADER = 2;
const FRAME_END = 0xce;
const FRAME_MAX = 131_072;

/** A message given in bytes: a library writes only what it can read. */
export interface RawMessage {
  readonly exchange: string;
  readonly routingKey: string | Buffer;
  readonly correlationId: string | Buffer;
  /** No headers when absent. */
  readonly contentType?: string | Buffer;
  /** The entries of the header table, without the length in front. */
  readonly headerTable: Buffer;
}

/** A connection after login, before `connection.open`. */
export interface HalfOpen {
  readonly socket: Socket;
  readonly frames: Frames;
  /** Opens the virtual host of the URL; throws when the broker does not allow it. */
  open(): Promise<void>;
}

/** Logs in without opening a vhost. RabbitMQ allows this for ten seconds (`handshake_timeout`). */
export async function logInRaw(amqpUrl: string): Promise<HalfOpen> {
  const url = new URL(amqpUrl);
  const socket = connect(Number(url.port), url.hostname);
  const frames = new Frames(socket);
  try {
    socket.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1'));
    await frames.method(10, 10);
    const login = `\0${decodeURIComponent(url.username)}\0${decodeURIComponent(url.password)}`;
    socket.write(method(0, 10, 11, longText(''), shortText('PLAIN'), longText(login), shortText('en_US')));
    await frames.method(10, 30);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return {
    socket,
    frames,
    async open() {
      socket.write(method(0, 10, 31, int16(2047), int32(FRAME_MAX), int16(0)));
      socket.write(method(0, 10, 40, shortText(decodeURIComponent(url.pathname.slice(1))), shortText(''), int8(0)));
      await frames.method(10, 41);
    },
  };
}

/** Publishes a message with an empty body, and returns when the broker has it. */
export async function publishRaw(amqpUrl: string, message: RawMessage): Promise<void> {
  const half = await logInRaw(amqpUrl);
  const { socket, frames } = half;
  try {
    await half.open();
    socket.write(method(1, 20, 10, shortText('')));
    await frames.method(20, 11);
    socket.write(method(1, 85, 10, int8(0)));
    await frames.method(85, 11);
    socket.write(method(1, 60, 40, int16(0), shortText(message.exchange), shortText(message.routingKey), int8(0)));
    const { contentType } = message;
    // Present are content_type (bit 15), headers (bit 13) and correlation_id (bit 10).
    const flags = int16((contentType === undefined ? 0 : 1 << 15) | (1 << 13) | (1 << 10));
    const type = contentType === undefined ? Buffer.alloc(0) : shortText(contentType);
    const table = Buffer.concat([int32(message.headerTable.length), message.headerTable]);
    socket.write(
      frame(
        HEADER,
        1,
        Buffer.concat([int16(60), int16(0), int32(0), int32(0), flags, type, table, shortText(message.correlationId)]),
      ),
    );
    await frames.method(60, 80);
  } finally {
    socket.destroy();
  }
}

/** Splits the bytes of a socket into frames. */
export class Frames {
  readonly #socket: Socket;
  #buffer = Buffer.alloc(0);
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      this.#wake();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('The broker closed the connection.')));
  }

  /** Waits for this method; any other one is an error. */
  async method(classId: number, methodId: number): Promise<void> {
    for (;;) {
      const size = this.#buffer.length < 7 ? Infinity : this.#buffer.readUInt32BE(3) + 8;
      if (this.#buffer.length >= size) {
        const [type, ids] = [this.#buffer[0], [this.#buffer.readUInt16BE(7), this.#buffer.readUInt16BE(9)]];
        const text = this.#buffer.subarray(7, size).toString('latin1');
        this.#buffer = this.#buffer.subarray(size);
        if (type === METHOD && ids[0] === classId && ids[1] === methodId) return;
        this.#socket.destroy();
        throw new Error(`The broker sent ${ids.join('.')} in place of ${classId}.${methodId}: ${text}`);
      }
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #end(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

function method(channel: number, classId: number, methodId: number, ...args: Buffer[]): Buffer {
  return frame(METHOD, channel, Buffer.concat([int16(classId), int16(methodId), ...args]));
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  return Buffer.concat([int8(type), int16(channel), int32(payload.length), payload, int8(FRAME_END)]);
}

function int8(value: number): Buffer {
  return Buffer.from([value]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function shortText(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([int8(bytes.length), bytes]);
}

function longText(text: string): Buffer {
  return Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)]);
}

/** A header table with one entry: nested arrays, `depth` deep. */
export function nestedTable(depth: number): Buffer {
  const levels = Array.from({ length: depth }, (_, level) => Buffer.concat([Buffer.from('A'), int32(level * 5)]));
  return Buffer.concat([shortText('x'), ...levels.toReversed()]);
}
