import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type AddressChoice, createAddressChoice } from '../contract/address-choice.ts';
import { amqpLogin, amqpTarget, type AmqpUrl, type Login, parseAmqpUrl } from '../contract/url.ts';
import { BrokerRefused } from '../client/client-errors.ts';
import { connectFault } from '../client/connect-fault.ts';
import type { Time } from '../client/time.ts';
import { METHOD_ID, methodIn, PROTOCOL_HEADER } from './amqp-frames.ts';
import { ByteReader } from './byte-reader.ts';

/** A connection to RabbitMQ that waits for connection.start-ok. */
export interface DialedBroker {
  readonly socket: Socket;
  readonly reader: ByteReader;
  /** RabbitMQ's frame with connection.start. */
  readonly start: Buffer;
  readonly login: Login;
}

/** What a dialer works with. */
export interface DialerParts {
  /** AMQP URLs with the current credentials, one for each address of RabbitMQ. */
  readonly urls: () => readonly string[];
  /** CA certificates in PEM instead of those of the system. */
  readonly ca: string | undefined;
  readonly time: Time;
}

/** How long a connection waits for a RabbitMQ that cannot be reached, in ms. Clients wait at least this long. */
const WAIT_MS = 4000;

/** How long one address may take at most to answer with connection.start while others can be tried, in ms. */
const ADDRESS_TIMEOUT_MS = 2000;

const PAUSE_MS = 200;

/** An attempt with less time than this is not made, in ms: it would fail whatever the address does. */
const SHORTEST_ATTEMPT_MS = 200;

/** Opens connections to RabbitMQ: at the first of its addresses that answers. */
export class BrokerDialer {
  readonly #parts: DialerParts;
  /** Which of this number of addresses is tried first. */
  #choice: { readonly addresses: number; readonly of: AddressChoice } | undefined;

  constructor(parts: DialerParts) {
    this.#parts = parts;
  }

  /** The current credentials. */
  get login(): Login {
    return amqpLogin(parseAmqpUrl(this.#parts.urls()[0] ?? ''));
  }

  /**
   * Connects, and tries again for some seconds if RabbitMQ cannot be reached.
   *
   * @throws Error that says why not, without the URL; what `urls` throws; the reason of the signal
   */
  async dial(signal: AbortSignal): Promise<DialedBroker> {
    const { time } = this.#parts;
    const untilMs = time.monotonicMs() + WAIT_MS;
    for (;;) {
      try {
        return await this.#dialOnce(untilMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        // Another attempt would have the same end, as with a certificate that is not trusted.
        if (error instanceof BrokerRefused || time.monotonicMs() + PAUSE_MS >= untilMs) throw error;
        await time.sleep(PAUSE_MS, signal);
        if (time.monotonicMs() + SHORTEST_ATTEMPT_MS > untilMs) throw error;
      }
    }
  }

  /** Tries each address once. */
  async #dialOnce(untilMs: number, signal: AbortSignal): Promise<DialedBroker> {
    const { time } = this.#parts;
    const urls = this.#parts.urls();
    const choice = this.#choiceAmong(urls.length);
    let failure: unknown;
    for (const [index, address] of choice.order().entries()) {
      const url = urls[address];
      if (url === undefined) continue;
      const leftMs = untilMs - time.monotonicMs();
      // Those that do not answer leave time for the others.
      const others = urls.length - index - 1;
      const timeoutMs = others === 0 ? leftMs : Math.min(ADDRESS_TIMEOUT_MS, leftMs / (others + 1));
      try {
        const broker = await this.#dialAddress(parseAmqpUrl(url), timeoutMs, signal);
        choice.succeeded(address);
        return broker;
      } catch (error) {
        signal.throwIfAborted();
        choice.failed(address);
        failure ??= error;
      }
    }
    throw failure;
  }

  /** The agent may be given other addresses while the proxy runs. */
  #choiceAmong(addresses: number): AddressChoice {
    if (this.#choice?.addresses !== addresses) {
      const { time } = this.#parts;
      const of = createAddressChoice(addresses, { nowMs: () => time.monotonicMs(), spread: time.random() });
      this.#choice = { addresses, of };
    }
    return this.#choice.of;
  }

  async #dialAddress(url: AmqpUrl, timeoutMs: number, signal: AbortSignal): Promise<DialedBroker> {
    const { protocol, hostname: host, port } = amqpTarget(url);
    const { ca } = this.#parts;
    const options = { host, port, noDelay: true, keepAlive: true, allowHalfOpen: true };
    const socket =
      protocol === 'amqp'
        ? connectTcp(options)
        : connectTls({
            ...options,
            ...(isIP(host) === 0 ? { servername: host } : {}),
            ...(ca === undefined ? {} : { ca: [ca] }),
          });
    // The reader reports it.
    socket.on('error', () => undefined);
    const cut = (): void => void socket.destroy();
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${Math.ceil(timeoutMs)} ms`)), timeoutMs);
    signal.addEventListener('abort', cut, { once: true });
    try {
      socket.write(PROTOCOL_HEADER);
      const reader = new ByteReader(socket);
      const start = await reader.frame();
      if (methodIn(start) !== METHOD_ID.start) throw new Error('its port answers with something other than AMQP 0-9-1');
      return { socket, reader, start, login: amqpLogin(url) };
    } catch (error) {
      socket.destroy();
      const cause = socket.errored ?? error;
      throw connectFault({ cause, received: Buffer.alloc(0) }, { protocol, port, vhost: url.vhost ?? '/' });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cut);
    }
  }
}
