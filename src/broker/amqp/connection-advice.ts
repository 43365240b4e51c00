import type { AgentErrorCode } from '../../util/agent-errors.ts';

/** What an operator can do. */
export interface ConnectionAdvice {
  /** `BrokerRefused`: another attempt has the same end until an operator acts. */
  readonly code: Extract<AgentErrorCode, 'BrokerRefused' | 'BrokerUnavailable'>;
  readonly advice: string;
}

const ADVICE: readonly (readonly [reason: RegExp, ConnectionAdvice['code'], advice: string])[] = [
  [
    /alert (number 116|certificate required|handshake failure|bad certificate)|ALERT_(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE)/i,
    'BrokerRefused',
    'RabbitMQ wants a client certificate, and agents have none: set ssl_options.fail_if_no_peer_cert = false in rabbitmq.conf, or give agents a listener without it.',
  ],
  [
    /wrong version number|packet length too long/i,
    'BrokerRefused',
    'The port of RABBITMQ_URL does not speak TLS: use amqp://, or the port that RabbitMQ has for amqps.',
  ],
  [
    /self-signed certificate|unable to (get|verify)|certificate has expired|altnames/i,
    'BrokerRefused',
    'This machine does not trust the certificate of RabbitMQ: set RABBITMQ_CA to that of its CA, and check the host name.',
  ],
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

/** What an operator can do about a reason that RabbitMQ or TLS gives for refusing a connection or a declaration. */
export function connectionAdvice(reason: string): ConnectionAdvice | undefined {
  const found = ADVICE.find(([pattern]) => pattern.test(reason));
  return found === undefined ? undefined : { code: found[1], advice: found[2] };
}
