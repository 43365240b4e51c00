import type { Duplex } from 'node:stream';
import { type ChannelModel, connect } from 'amqplib';
import { recordHandshake } from '../contract/amqplib-handshake-workaround.ts';
import {
  amqpTarget,
  type AmqpUrl,
  formatAmqpUrl,
  InvalidUrl,
  parseAmqpUrl,
  parseAmqpUrls,
  type UrlList,
} from '../contract/url.ts';
import { watchAlarm } from './broker-alarm.ts';
import { BrokerAddresses } from './broker-addresses.ts';
import { InputError } from './client-errors.ts';
import { connectFault } from './connect-fault.ts';

/** How long RabbitMQ may take to accept a connection, in ms. */
const CONNECT_TIMEOUT_MS = 10_000;

/** How long RabbitMQ may take to confirm that a connection is closed, in ms. */
export const CLOSE_CONFIRM_TIMEOUT_MS = 2000;

/** Options of {@link connectTo}. */
export interface ConnectOptions {
  /** Certificates in PEM to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** The pause between two heartbeats, unless the URL says it; RabbitMQ proposes 60 s when absent. */
  readonly heartbeatSeconds?: number | undefined;
  /** Cuts the connection while it opens. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects to RabbitMQ: at the first of several addresses that works.
 *
 * @param urls one AMQP URL, or several with commas between
 * @throws InputError if the URL is invalid; WireError `Unavailable` if RabbitMQ cannot be reached; BrokerRefused if it refuses
 *   the user or the vhost, or the connection cannot work as the URL says. No message holds the URL, which contains a password.
 */
export async function connectTo(urls: string, options: ConnectOptions = {}): Promise<ChannelModel> {
  const all = parseBrokerUrls(urls).map(formatAmqpUrl);
  const addresses = new BrokerAddresses(all.length);
  return (await addresses.connect(all, (url) => connectToOne(url, options), options.signal)).connection;
}

/**
 * Connects to RabbitMQ at one address.
 *
 * @throws as {@link connectTo}
 */
export async function connectToOne(url: string, options: ConnectOptions = {}): Promise<ChannelModel> {
  const { ca, heartbeatSeconds, signal } = options;
  const brokerUrl = parseBrokerUrl(url);
  const target = {
    ...(heartbeatSeconds === undefined ? {} : { heartbeat: heartbeatSeconds }),
    ...amqpTarget(brokerUrl),
  };
  const opening = new AbortController();
  const cut = (): void => opening.abort();
  signal?.throwIfAborted();
  signal?.addEventListener('abort', cut, { once: true });
  const socketOptions = {
    timeout: CONNECT_TIMEOUT_MS,
    noDelay: true,
    signal: opening.signal,
    ...(ca === undefined ? {} : { ca: [ca] }),
    clientProperties: { connection_name: 'pulse-agent client' },
  };
  const handshake = recordHandshake(() => connect(target, socketOptions));
  try {
    const connection = await handshake.result;
    // An error also closes the channels, which reject the requests in progress.
    connection.on('error', () => undefined);
    watchAlarm(connection);
    connection.once('close', () => destroyUnlessClosed(streamOf(connection)));
    return connection;
  } catch (cause) {
    signal?.throwIfAborted();
    throw connectFault({ cause, received: handshake.received() }, { ...target, vhost: brokerUrl.vhost ?? '/' });
  } finally {
    handshake.stop();
    signal?.removeEventListener('abort', cut);
  }
}

/**
 * Reads the AMQP URLs that the caller gave: one, or several with commas between.
 *
 * @throws InputError
 */
export function parseBrokerUrls(urls: string): UrlList<AmqpUrl> {
  return parsed(() => parseAmqpUrls(urls));
}

function parseBrokerUrl(url: string): AmqpUrl {
  return parsed(() => parseAmqpUrl(url));
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidUrl)) throw error;
    throw new InputError('InputError', `The URL of RabbitMQ ${error.message}.`, {
      details: { field: 'url' },
      cause: error,
    });
  }
}

/** Closes a connection, by force if RabbitMQ does not answer. Resolves when its socket is closed; never rejects. */
export async function closeRpcConnection(connection: ChannelModel): Promise<void> {
  const stream = streamOf(connection);
  if (stream.destroyed) return;
  // Not the `close` of amqplib: for a connection that an alarm blocks, it only ends the stream, and RabbitMQ reads nothing.
  const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
  connection.close().catch(() => undefined);
  destroyUnlessClosed(stream);
  await closed;
}

/** The socket, if it is open after {@link CLOSE_CONFIRM_TIMEOUT_MS}, is destroyed: amqplib would only end it. */
function destroyUnlessClosed(stream: Duplex): void {
  if (stream.destroyed) return;
  // The open socket holds the process, and so does not the timer.
  const timer = setTimeout(
    () => stream.destroy(new Error('RabbitMQ does not answer.')),
    CLOSE_CONFIRM_TIMEOUT_MS,
  ).unref();
  stream.once('close', () => clearTimeout(timer));
}

/** amqplib's types lack the socket. */
function streamOf(connection: ChannelModel): Duplex {
  return (connection.connection as unknown as { readonly stream: Duplex }).stream;
}
