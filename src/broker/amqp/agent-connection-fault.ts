import { tlsCodeOf, tlsFaultOf } from '../../contract/tls-faults.ts';
import { AgentError, type AgentErrorCode, asError } from '../../util/agent-errors.ts';

/** `BrokerRefused`: another attempt has the same end until an operator acts. */
type FaultCode = Extract<AgentErrorCode, 'BrokerRefused' | 'BrokerUnavailable'>;

/** What an operator can do about a reason of RabbitMQ. */
const ADVICE: readonly (readonly [reason: RegExp, FaultCode, advice: string])[] = [
  [
    /feature flag/i,
    'BrokerRefused',
    'Enable the feature flags of RabbitMQ, on all nodes, with "rabbitmqctl enable_feature_flag all".',
  ],
  [
    /queue limit in /i,
    'BrokerUnavailable',
    'Raise max-queues with "rabbitmqctl set_vhost_limits", or delete queues: the agent has three in the vhost of the requests and two in that of the broker events.',
  ],
  [
    /user connection limit/i,
    'BrokerUnavailable',
    'Raise max-connections of the agent\'s account with "rabbitmqctl set_user_limits".',
  ],
  [
    /connection limit/i,
    'BrokerUnavailable',
    'Raise max-connections of the vhost with "rabbitmqctl set_vhost_limits", or close connections of clients there.',
  ],
  [
    /vhost \S* ?not found/i,
    'BrokerRefused',
    'Create the vhost with "rabbitmqctl add_vhost", or correct the path of RABBITMQ_URL.',
  ],
];

/** How rascal writes that it could not connect: its own words, the URL without credentials, the reason. */
const RASCAL_CONNECT = /^Failed to connect to: (?<origin>\w+:\/\/[^/?]+)\S* Original message was: (?<reason>.*)$/s;

/**
 * The error for a connection to RabbitMQ that could not be opened, or that a limit or a feature flag does not allow to use.
 *
 * @param error of rascal
 * @returns undefined if the connection was open and what was asked on it is the fault
 */
export function agentConnectionFault(error: unknown): AgentError | undefined {
  const message = asError(error).message.trim();
  const { origin, reason = message } = RASCAL_CONNECT.exec(message)?.groups ?? {};
  return faultOf(error, origin, reason);
}

/** The same for a connection that amqplib could not open, at one of these addresses, which have no credentials. */
export function connectionFaultAt(origin: string, error: unknown): AgentError {
  const reason = asError(error).message.trim();
  return (
    faultOf(error, origin, reason) ??
    new AgentError('BrokerUnavailable', `RabbitMQ at ${origin} cannot be reached (${reason}).`, { cause: error })
  );
}

function faultOf(error: unknown, origin: string | undefined, reason: string): AgentError | undefined {
  const broker = origin === undefined ? 'RabbitMQ' : `RabbitMQ at ${origin}`;
  const fault = (code: FaultCode, text: string): AgentError => new AgentError(code, text, { cause: error });

  const ofTls = origin === undefined ? undefined : tlsFaultOf(error);
  const code = tlsCodeOf(error);
  if (ofTls === 'untrusted') {
    return fault(
      'BrokerRefused',
      `The certificate of ${broker} is not trusted (${code}: ${reason}). Set RABBITMQ_CA or RABBITMQ_CA_FILE to the CA that signed it, and use a host name of the certificate.`,
    );
  }
  if (ofTls === 'certificate-wanted') {
    return fault(
      'BrokerRefused',
      `${broker} wants a client certificate (${code}), and agents have none. Set ssl_options.fail_if_no_peer_cert = false in rabbitmq.conf, or give agents a listener without it.`,
    );
  }
  if (ofTls === 'not-tls') {
    return fault(
      'BrokerRefused',
      `The port of RABBITMQ_URL does not speak TLS: use amqp://, or the port that RabbitMQ has for amqps (${reason}).`,
    );
  }
  const known = ADVICE.find(([pattern]) => pattern.test(reason));
  if (known !== undefined) return fault(known[1], `${broker} refuses what the agent needs (${reason}). ${known[2]}`);
  if (origin === undefined) return undefined;
  if (/ACCESS[_-]REFUSED/.test(reason)) {
    return fault(
      'BrokerRefused',
      `${broker} refuses the agent's account (${reason}). Check the credentials in RABBITMQ_URL, and give the account the permissions that docs/operations.md lists.`,
    );
  }
  if (reason.startsWith('Socket closed abruptly')) {
    const other = origin.startsWith('amqps:') ? 'another protocol' : 'TLS, for which the URL begins with amqps://,';
    return fault(
      'BrokerUnavailable',
      `${broker} closed the connection before the handshake: it starts or stops, or the port is for ${other} or for HTTP. Check RABBITMQ_URL.`,
    );
  }
  return fault(
    'BrokerUnavailable',
    `${broker} cannot be reached (${reason}). Check that it runs, and the host and the port of RABBITMQ_URL.`,
  );
}
