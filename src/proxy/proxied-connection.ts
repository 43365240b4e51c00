import { timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Login } from '../contract/url.ts';
import type { Lease } from '../client/lease.ts';
import type { Time } from '../client/time.ts';
import {
  type CloseCode,
  closeFrame,
  METHOD_ID,
  methodIn,
  openFrame,
  passwordIn,
  PROTOCOL_HEADER,
  readStartOk,
  startFrame,
  type StartOk,
  startOkFrame,
} from './amqp-frames.ts';
import type { BrokerDialer, DialedBroker } from './broker-dialer.ts';
import { ByteReader, NotAFrame, StreamEnded } from './byte-reader.ts';
import { FrameCursor } from './frame-cursor.ts';

/** What a connection of a client works with. */
export interface ProxiedConnectionParts {
  readonly lease: Pick<Lease, 'credentials'>;
  readonly dialer: BrokerDialer;
  /** The password that a client has to give; undefined: any, or none. */
  readonly password: Buffer | undefined;
  /** The vhost that is opened in place of the one that the client names; undefined: the client's. */
  readonly vhost: string | undefined;
  readonly time: Time;
  /** How long the client may take for its login, and then to open its vhost, in ms. */
  readonly handshakeMs: number;
}

/** The pauses before claims after a refused login, in ms. A lease does not claim again within two seconds of a claim. */
const CLAIM_AGAIN_AFTER_MS = [0, 2100];

/** How long the client may take to answer connection.close before its connection is ended, in ms. */
const CLOSE_OK_MS = 500;

/** How long an ended connection may take to close, in ms. */
const LINGER_MS = 2000;

/** A connection of a client, and the one to RabbitMQ that stands for it. */
export class ProxiedConnection {
  readonly #client: Socket;
  readonly #parts: ProxiedConnectionParts;
  readonly #closed: Promise<void>;
  readonly #left = new AbortController();
  readonly #toClient = new FrameCursor();
  readonly #toBroker = new FrameCursor();
  #broker: Socket | undefined;
  #brokerReader: ByteReader | undefined;
  /** Whether the client speaks AMQP 0-9-1, and has got connection.start. */
  #phase: 'header' | 'start' | 'started' = 'header';
  #isEnding = false;

  constructor(client: Socket, parts: ProxiedConnectionParts) {
    this.#client = client;
    this.#parts = parts;
    client.on('error', () => undefined);
    this.#closed = new Promise((resolve) => {
      client.once('close', () => {
        this.#left.abort(new StreamEnded('The client has closed the connection.'));
        this.#leaveBroker();
        resolve();
      });
    });
  }

  /** Serves the client until its connection is closed. It never rejects. */
  async serve(): Promise<void> {
    try {
      const reader = new ByteReader(this.#client);
      await this.#openBoth(reader);
      reader.release();
      this.#pass();
    } catch (error) {
      this.#fail(error);
    }
    await this.#closed;
  }

  /** Closes the connection, with connection.close where the client can understand it. Resolves when it is closed. */
  async end(code: CloseCode, reason: string): Promise<void> {
    this.#end(code, reason);
    await this.#closed;
  }

  #fail(error: unknown): void {
    if (this.#client.destroyed) return;
    if (error instanceof StreamEnded) this.#client.destroy();
    else if (error instanceof NotAFrame) this.#end(501, error.message);
    else this.#end(320, error instanceof Error ? error.message : String(error));
  }

  async #openBoth(reader: ByteReader): Promise<void> {
    const login = await this.#inTime(() => this.#readLogin(reader));
    if (login === undefined) return;
    const { broker, startOk } = login;
    if (!this.#isPasswordRight(startOk)) {
      this.#end(403, 'The password is not the one that the proxy was given with --password-file.');
      return;
    }
    const answer = await this.#logIn(broker, startOk);
    if (this.#isEnding) return;
    this.#write(answer);
    if (this.#parts.vhost === undefined || methodIn(answer) !== METHOD_ID.tune) return;
    await this.#inTime(() => this.#openVhost(reader));
  }

  /** Does this with the client. If the client takes too long, its connection is closed. */
  async #inTime<T>(work: () => Promise<T>): Promise<T> {
    const { handshakeMs } = this.#parts;
    const reason = `The client has not opened its connection within ${handshakeMs / 1000} s.`;
    const timer = setTimeout(() => this.#end(320, reason), handshakeMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  async #readLogin(
    reader: ByteReader,
  ): Promise<{ readonly broker: DialedBroker; readonly startOk: StartOk } | undefined> {
    if (!(await reader.bytes(PROTOCOL_HEADER.length)).equals(PROTOCOL_HEADER)) {
      // As RabbitMQ: the client learns the version that is spoken here.
      this.#client.write(PROTOCOL_HEADER);
      this.#finish(0);
      return undefined;
    }
    this.#phase = 'start';
    const broker = await this.#dial();
    if (this.#isEnding) return undefined;
    this.#phase = 'started';
    this.#client.write(broker.start);
    const startOk = readStartOk(await reader.frame());
    if (startOk === undefined) throw new NotAFrame('connection.start-ok was expected.');
    return { broker, startOk };
  }

  async #dial(): Promise<DialedBroker> {
    const broker = await this.#parts.dialer.dial(this.#left.signal);
    if (this.#left.signal.aborted || this.#isEnding) broker.socket.destroy();
    this.#left.signal.throwIfAborted();
    this.#broker = broker.socket;
    this.#brokerReader = broker.reader;
    return broker;
  }

  /**
   * Logs in as the namespace. If RabbitMQ refuses that, the credentials may have been revoked since the last claim: it
   * claims again and logs in with what that returns.
   */
  async #logIn(first: DialedBroker, startOk: StartOk): Promise<Buffer> {
    const { dialer, lease, time } = this.#parts;
    let broker = first;
    let answer = await answerTo(broker, startOk);
    for (const pauseMs of CLAIM_AGAIN_AFTER_MS) {
      if (answer !== undefined && methodIn(answer) !== METHOD_ID.close) return answer;
      if (pauseMs > 0) await time.sleep(pauseMs, this.#left.signal);
      await lease.credentials();
      if (isSame(broker.login, dialer.login)) continue;
      broker.socket.destroy();
      broker = await this.#dial();
      answer = await answerTo(broker, startOk);
    }
    if (answer === undefined) throw new Error('RabbitMQ has closed the connection during the login.');
    return answer;
  }

  #isPasswordRight(startOk: StartOk): boolean {
    const { password } = this.#parts;
    if (password === undefined) return true;
    const given = passwordIn(startOk);
    return given !== undefined && given.length === password.length && timingSafeEqual(given, password);
  }

  async #openVhost(reader: ByteReader): Promise<void> {
    for (;;) {
      const frame = await reader.frame();
      const isOpen = methodIn(frame) === METHOD_ID.open;
      this.#broker?.write(isOpen ? openFrame(this.#parts.vhost ?? '/') : frame);
      if (isOpen) return;
    }
  }

  /** From here on every byte is passed on unread, but for the heads of the frames. */
  #pass(): void {
    const [client, broker] = [this.#client, this.#broker];
    if (broker === undefined || this.#isEnding) return;
    this.#brokerReader?.release();
    broker.on('data', this.#follow.toClient);
    client.on('data', this.#follow.toBroker);
    broker.pipe(client, { end: false });
    client.pipe(broker);
    const onBrokerEnd = (): void => {
      if (this.#isEnding) return;
      if (this.#toClient.hasClose) this.#finish(0);
      else this.#end(320, 'The connection to RabbitMQ was lost.');
    };
    broker.once('end', onBrokerEnd);
    broker.once('close', onBrokerEnd);
    // RabbitMQ closes its side then.
    client.once('end', () => this.#destroyLater(client));
    if (broker.readableEnded || broker.destroyed) onBrokerEnd();
  }

  readonly #follow = {
    toClient: (chunk: Buffer): void => this.#toClient.push(chunk),
    toBroker: (chunk: Buffer): void => this.#toBroker.push(chunk),
  };

  #write(frame: Buffer): void {
    this.#client.write(frame);
    this.#toClient.push(frame);
  }

  #end(code: CloseCode, reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const broker = this.#broker;
    broker?.unpipe(this.#client).off('data', this.#follow.toClient);
    const close = (): void => {
      if (this.#phase === 'start') this.#client.write(startFrame());
      if (this.#phase !== 'header' && this.#toClient.isBetweenFrames) this.#client.write(closeFrame(code, reason));
      this.#finish();
    };
    if (this.#toClient.isBetweenFrames || broker === undefined || broker.readableEnded || broker.destroyed) {
      close();
      return;
    }
    // The frame that has begun is passed on to its end.
    this.#destroyLater(this.#client);
    const onData = (chunk: Buffer): void => {
      this.#client.write(chunk.subarray(0, this.#toClient.take(chunk)));
      if (this.#toClient.isBetweenFrames) onEnd();
    };
    const onEnd = (): void => {
      broker.off('data', onData).off('close', onEnd).off('end', onEnd);
      close();
    };
    broker.on('data', onData).once('close', onEnd).once('end', onEnd).resume();
  }

  /** Ends the client's connection when it has answered, or soon. */
  #finish(waitMs = CLOSE_OK_MS): void {
    this.#isEnding = true;
    this.#client.unpipe();
    this.#discard(this.#client);
    this.#leaveBroker();
    const timers = [
      setTimeout(() => this.#client.end(), this.#client.readableEnded ? 0 : waitMs),
      setTimeout(() => this.#client.destroy(), waitMs + LINGER_MS),
    ];
    this.#client.once('end', () => this.#client.end());
    this.#client.once('close', () => {
      for (const timer of timers) clearTimeout(timer);
    });
  }

  /** Closes the connection to RabbitMQ, in AMQP where no frame is cut by it. */
  #leaveBroker(): void {
    const broker = this.#broker;
    if (broker === undefined || broker.destroyed) return;
    broker.unpipe();
    if (this.#toBroker.isBetweenFrames && !this.#toBroker.hasClose && broker.writable && this.#phase === 'started') {
      broker.end(closeFrame(200, 'The client of the proxy is gone.'));
    } else broker.end();
    this.#discard(broker);
    broker.once('end', () => broker.destroy());
    this.#destroyLater(broker);
  }

  /** Destroys the socket if it is not closed soon. The timer would keep all of the connection. */
  #destroyLater(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(timer));
  }

  #discard(socket: Socket): void {
    socket.removeAllListeners('data').removeAllListeners('readable').resume();
  }
}

/** RabbitMQ's answer to the login; undefined if it closed the connection without one. */
async function answerTo({ socket, reader, login }: DialedBroker, startOk: StartOk): Promise<Buffer | undefined> {
  socket.write(startOkFrame(startOk, login));
  try {
    return await reader.frame();
  } catch (error) {
    if (error instanceof StreamEnded) return undefined;
    throw error;
  }
}

function isSame(one: Login, other: Login): boolean {
  return one.username === other.username && one.password === other.password;
}
