import { tlsFaultIn } from '../../contract/tls-faults.ts';
import { AgentError } from '../../util/agent-errors.ts';

/** The server of one address did not answer, or cannot be RabbitMQ: another address may. */
export class AddressFault extends AgentError {}

/**
 * The error for a call without a response. A retry helps, unless TLS fails.
 *
 * @param code of the network or of TLS
 */
export function unreachable(shownUrl: string, code: string): AddressFault {
  const fault = tlsFaultIn(code);
  if (fault === 'untrusted') {
    return new AddressFault(
      'BrokerRefused',
      `The certificate of RabbitMQ's management API at ${shownUrl} is not trusted (${code}). Set RABBITMQ_CA or RABBITMQ_CA_FILE to the CA that signed it, and use a host name of the certificate.`,
    );
  }
  if (fault === 'certificate-wanted') {
    return new AddressFault(
      'BrokerRefused',
      `RabbitMQ's management API at ${shownUrl} wants a client certificate (${code}), and agents have none. Set management.ssl.fail_if_no_peer_cert = false in rabbitmq.conf, or give agents a listener without it.`,
    );
  }
  return new AddressFault(
    'BrokerUnavailable',
    `RabbitMQ's management API at ${shownUrl} cannot be reached (${code}). Check RABBITMQ_MANAGEMENT_URL and that the management plugin is on.`,
  );
}

/** The error for a page where RabbitMQ would send JSON, or nothing. */
export function pageReceived(where: string, status: number): AgentError {
  return new AgentError(
    'BrokerRefused',
    `A page was the response to ${where} (${status}), so another server than RabbitMQ answers, such as a proxy with its login. ${TO_THE_API}`,
  );
}

const TO_THE_API =
  'Set RABBITMQ_MANAGEMENT_URL to the management API itself, past the login: the agent follows no redirects and fills in no pages.';

/**
 * What an operator can do about a refusal.
 *
 * @param where method and path, such as `PUT /api/users/x`
 */
export function managementAdvice(status: number, reason: string, where: string): string {
  if (status < 400) return `A proxy in front of it sends the agent elsewhere, such as to a login. ${TO_THE_API}`;
  if (/feature flag/i.test(reason)) {
    return 'Enable the feature flags of RabbitMQ, on all nodes, with "rabbitmqctl enable_feature_flag all".';
  }
  if (/limit.* (reached|exceeded)/i.test(reason))
    return 'Raise the limit that RabbitMQ names, or remove what uses it up.';
  if (status === 405 && / \/api\/operator-policies\//.test(where)) {
    return 'RabbitMQ forbids to change operator policies here (management.restrictions.operator_policy_changes.disabled in rabbitmq.conf). Set them with "rabbitmqctl set_operator_policy" as "pulse-agent verify" prints them, or allow the change.';
  }
  if (status === 401 || status === 403) {
    return 'Check the credentials in RABBITMQ_MANAGEMENT_URL or RABBITMQ_URL, and that the account has the administrator tag.';
  }
  return "Check that the vhost exists and that the broker's version is one that the agent supports.";
}
