import { NAMESPACE_PATTERN } from '../../contract/names.ts';
import type { Permissions } from '../../broker/management/management.ts';
import { SLOT_NUMBERS, type SlotNumber, type SlotPair } from '../slots.ts';

/** Raised when {@link permissionsOf} changes: accounts with an older version get their permissions again. */
export const PERMISSIONS_VERSION = 1;

/** The RabbitMQ user of a namespace's slot. */
export function accountName(usernamePrefix: string, namespace: string, slot: SlotNumber): string {
  return `${usernamePrefix}${namespace}-${slot}`;
}

/** The RabbitMQ users of both slots of a namespace. */
export function accountNames(usernamePrefix: string, namespace: string): SlotPair<string> {
  const [first, second] = SLOT_NUMBERS;
  return [accountName(usernamePrefix, namespace, first), accountName(usernamePrefix, namespace, second)];
}

/**
 * What the accounts of a namespace may do. All patterns are anchored, because RabbitMQ matches anywhere in a name
 * otherwise. Neither a namespace nor an agent's id contains a character with a meaning in regular expressions. Accounts
 * may write requests, so that a re-claim can use an open connection, and read every `exchange/…`, as Pulse promises.
 */
export function permissionsOf(agentId: string, namespace: string): Permissions {
  return {
    configure: `^(queue|exchange)/${namespace}/.*$`,
    write: `^((queue|exchange)/${namespace}/.*|rpc/${agentId}/v[0-9]+)$`,
    read: `^(queue/${namespace}|exchange)/.*$`,
  };
}

/** The connection string of an account: the public AMQP URL with the account's credentials. */
export function connectionString(publicAmqpUrl: string, username: string, password: string): string {
  const url = new URL(publicAmqpUrl);
  url.username = encodeURIComponent(username);
  url.password = encodeURIComponent(password);
  return url.href;
}

/** The namespace of an account, or undefined for any other user. */
export function namespaceOfAccount(
  { usernamePrefix, namespacePrefix }: { readonly usernamePrefix: string; readonly namespacePrefix: string },
  user: string,
): string | undefined {
  if (!user.startsWith(usernamePrefix) || !/-[12]$/.test(user)) return undefined;
  const namespace = user.slice(usernamePrefix.length, -2);
  return namespace.startsWith(namespacePrefix) && NAMESPACE_PATTERN.test(namespace) ? namespace : undefined;
}
