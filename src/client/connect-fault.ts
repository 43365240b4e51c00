import { type CloseReason, closeReasonIn } from '../contract/amqplib-handshake-workaround.ts';
import { tlsFaultOf } from '../contract/tls-faults.ts';
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

/** For a certificate that is not trusted. */
const TRUST_ADVICE =
  'Use a host name of the certificate, and name the CA that signed it: with the option ca of the library, with RABBITMQ_CA_FILE for a command, or with NODE_EXTRA_CA_CERTS for Node itself.';
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
  if (protocol === 'amqps') {
    const fault = tlsFaultOf(cause);
    if (fault === 'not-tls') {
      return refused(
        'tls',
        `The port ${port} does not speak TLS: use amqp://, or the port that RabbitMQ has for amqps.`,
      );
    }
    if (fault === 'certificate-wanted') {
      return refused('tls', 'RabbitMQ wants a client certificate (verify_peer), which this client does not have.');
    }
    if (fault === 'untrusted') {
      return refused(
        'tls',
        `This machine does not trust the certificate of RabbitMQ: ${messageOf(cause)}. ${TRUST_ADVICE}`,
      );
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

/** The message of an error as a clause. An AggregateError has those of all addresses of a host. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ');
  return error instanceof Error ? error.message.trim().replace(/\.$/, '') : 'for an unknown reason';
}
