import type { Login } from '../contract/url.ts';

// The few frames of AMQP 0-9-1 that a proxy reads or writes itself. amqplib can encode them, and does not export it.

/** What a client of AMQP 0-9-1 sends first, and what a server answers to any other header. */
export const PROTOCOL_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');

/** The type, the channel and the size of a frame. */
export const FRAME_HEAD_BYTES = 7;
/** A class and a method, in front of the arguments of a method. */
export const METHOD_ID_BYTES = 4;
/** The octet behind the payload of a frame. */
export const FRAME_END = 0xce;
export const METHOD_FRAME = 1;

/** Methods of connections, as class and method in one number. */
export const METHOD_ID = {
  start: 0x000a000a,
  startOk: 0x000a000b,
  tune: 0x000a001e,
  open: 0x000a0028,
  close: 0x000a0032,
  closeOk: 0x000a0033,
} as const;

/** RabbitMQ's codes for closing a connection, with the names that begin its texts. */
export const CLOSE_NAMES = {
  320: 'CONNECTION_FORCED',
  403: 'ACCESS_REFUSED',
  501: 'FRAME_ERROR',
} as const;

/** One of {@link CLOSE_NAMES}. */
export type CloseCode = keyof typeof CLOSE_NAMES;

/** The arguments of connection.start-ok. */
export interface StartOk {
  /** The table of the client's properties with its length, as it was sent. */
  readonly properties: Buffer;
  readonly mechanism: string;
  readonly response: Buffer;
  readonly locale: string;
}

/** The longest text of a short string, in bytes. */
const SHORT_MAX_BYTES = 255;

/** The method of a whole frame; undefined for another frame, or a channel that is not that of the connection. */
export function methodIn(frame: Buffer): number | undefined {
  if (frame[0] !== METHOD_FRAME || frame.readUInt16BE(1) !== 0) return undefined;
  return frame.length < FRAME_HEAD_BYTES + METHOD_ID_BYTES ? undefined : frame.readUInt32BE(FRAME_HEAD_BYTES);
}

/** A frame with connection.close. A long text is cut. */
export function closeFrame(code: CloseCode | 200, text: string): Buffer {
  const named = code === 200 ? text : `${CLOSE_NAMES[code]} - ${text}`;
  return methodFrame(METHOD_ID.close, int16(code), shortString(named), int16(0), int16(0));
}

/** A frame with a connection.start of the proxy's own, for a client that gets none of RabbitMQ. */
export function startFrame(): Buffer {
  const product = Buffer.concat([shortString('product'), Buffer.from('S'), longString('Pulse Agent proxy')]);
  return methodFrame(
    METHOD_ID.start,
    Buffer.from([0, 9]),
    longString(product),
    longString('PLAIN'),
    longString('en_US'),
  );
}

/** The arguments of a frame with connection.start-ok; undefined if it holds another method, or its fields are wrong. */
export function readStartOk(frame: Buffer): StartOk | undefined {
  if (methodIn(frame) !== METHOD_ID.startOk) return undefined;
  const reader = new FieldReader(frame.subarray(FRAME_HEAD_BYTES + METHOD_ID_BYTES, -1));
  try {
    const properties = longString(reader.longString());
    return {
      properties,
      mechanism: reader.shortString(),
      response: reader.longString(),
      locale: reader.shortString(),
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A frame with connection.start-ok that logs in as this user. */
export function startOkFrame({ properties, locale }: StartOk, { username, password }: Login): Buffer {
  const response = longString(`\0${username}\0${password}`);
  return methodFrame(METHOD_ID.startOk, properties, shortString('PLAIN'), response, shortString(locale));
}

/** The password of a login with PLAIN or AMQPLAIN; undefined for another mechanism, or a response that is none of it. */
export function passwordIn({ mechanism, response }: Pick<StartOk, 'mechanism' | 'response'>): Buffer | undefined {
  if (mechanism === 'PLAIN') {
    const behind = response.indexOf(0, response.indexOf(0) + 1);
    return response.includes(0) && behind > 0 ? response.subarray(behind + 1) : undefined;
  }
  return mechanism === 'AMQPLAIN' ? textIn(response, 'PASSWORD') : undefined;
}

/** A frame with connection.open. */
export function openFrame(vhost: string): Buffer {
  return methodFrame(METHOD_ID.open, shortString(vhost), shortString(''), Buffer.of(0));
}

/** The text under this name in a table that has only texts, as that of AMQPLAIN. */
function textIn(table: Buffer, wanted: string): Buffer | undefined {
  const reader = new FieldReader(table);
  try {
    while (!reader.isAtEnd) {
      const name = reader.shortString();
      if (reader.octet() !== 'S'.charCodeAt(0)) return undefined;
      const text = reader.longString();
      if (name === wanted) return text;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}

/** Reads fields one after the other. Beyond the end it throws a RangeError. */
class FieldReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  octet(): number {
    return this.#take(1).readUInt8();
  }

  shortString(): string {
    return this.#take(this.octet()).toString('utf8');
  }

  longString(): Buffer {
    return this.#take(this.#take(4).readUInt32BE());
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('The frame ends within a field.');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function methodFrame(method: number, ...fields: readonly Buffer[]): Buffer {
  const payload = Buffer.concat([int32(method), ...fields]);
  return Buffer.concat([Buffer.of(METHOD_FRAME), int16(0), int32(payload.length), payload, Buffer.of(FRAME_END)]);
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

function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  let end = Math.min(bytes.length, SHORT_MAX_BYTES);
  // Not within a character.
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return Buffer.concat([Buffer.of(end), bytes.subarray(0, end)]);
}

function longString(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([int32(bytes.length), bytes]);
}
