import { type CloseReason, closeReasonIn } from '../contract/amqplib-handshake-workaround.ts';
import { WireError } from '../contract/wire-errors.ts';
import { BrokerRefused, type PulseAgentError } from './client-errors.ts';

/** Where a connection should lead. */
interface Target {
  readonly protocol: 'amqp' | 'amqps';
  readonly port: number;
  /** Decoded. */
  readonly vhost: string;
}

/** A connection that could not be opened. */
export interface FailedHandshake {
  /** The error of amqplib. */
  readonly cause: unknown;
  /** What the other side has sent. */
  readonly received: Buffer;
}

/** What RabbitMQ's plain port sends back to a TLS handshake, in the codes of Node. */
const NOT_TLS = new Set(['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

const CERTIFICATE_WANTED = new Set([
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
  'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
  'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
]);

const NOT_TRUSTED = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** The first byte of an answer of TLS to a handshake that is none. */
const ALERT_OF_TLS = 0x15;
const ACCESS_REFUSED = 403;
/** Of a vhost that does not exist, may not be used, or has as many connections as it may. */
const NOT_ALLOWED = 530;

/**
 * Why a connection could not be opened, as the error that the library throws. Its message does not hold the URL.
 *
 * @returns BrokerRefused if another attempt has the same end, or else a WireError `Unavailable`.
 */
export function connectFault(
  { cause, received }: FailedHandshake,
  { protocol, port, vhost }: Target,
): PulseAgentError | WireError {
  const refused = (what: 'user' | 'vhost' | 'tls', message: string): PulseAgentError =>
    new BrokerRefused(message, { details: { refused: what }, cause });
  const unavailable = (message: string): WireError => new WireError('Unavailable', message, { cause });
  const reason = closeReasonIn(received);
  if (reason?.code === ACCESS_REFUSED && !reason.text.includes('vhost')) {
    return refused('user', 'RabbitMQ refuses the user or its password.');
  }
  if ((reason?.code === NOT_ALLOWED || reason?.code === ACCESS_REFUSED) && !isTemporary(reason)) {
    return refused(
      'vhost',
      `RabbitMQ refuses the vhost ${vhost}: ${shortened(reason)}. It must exist, and this user must have permissions in it.`,
    );
  }
  if (reason !== undefined) return unavailable(`RabbitMQ refuses the connection: ${shortened(reason)}.`);
  const code = codeOf(cause);
  if (protocol === 'amqps') {
    if (NOT_TLS.has(code)) {
      return refused(
        'tls',
        `The port ${port} does not speak TLS: use amqp://, or the port that RabbitMQ has for amqps.`,
      );
    }
    if (CERTIFICATE_WANTED.has(code)) {
      return refused('tls', 'RabbitMQ wants a client certificate (verify_peer), which this client does not have.');
    }
    if (NOT_TRUSTED.has(code)) {
      return refused('tls', `This machine does not trust the certificate of RabbitMQ: ${messageOf(cause)}.`);
    }
  } else if (received[0] === ALERT_OF_TLS) {
    return refused('tls', `The port ${port} speaks TLS: use amqps://, or the port that RabbitMQ has for amqp.`);
  }
  if (received.length === 0 && /^Socket closed abruptly|ECONNRESET/.test(messageOf(cause))) {
    const other = protocol === 'amqp' ? 'TLS, for which the URL begins with amqps://,' : 'another protocol';
    return unavailable(
      `The port ${port} closes connections before the handshake: RabbitMQ starts or stops, or the port is for ${other} or for HTTP.`,
    );
  }
  return unavailable(`RabbitMQ cannot be reached: ${messageOf(cause)}.`);
}

/** A limit of connections is free again when another one closes; a vhost that is down may come back. */
function isTemporary({ text }: CloseReason): boolean {
  return /limit \(\d+\) is reached| is down\b/.test(text);
}

/** Without the name of the code: "vhost x not found". */
function shortened({ text }: CloseReason): string {
  return text.replace(/^[A-Z]+[_-][A-Z]+ - /, '').replace(/\.?\s*$/, '');
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** The message of an error as a clause. An AggregateError has those of all addresses of a host. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ');
  return error instanceof Error ? error.message.trim().replace(/\.$/, '') : 'for an unknown reason';
}
