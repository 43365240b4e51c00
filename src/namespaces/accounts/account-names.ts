import { NAMESPACE_PATTERN } from '../../contract/names.ts';
import type { Permissions } from '../../broker/management/management.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';

/** Raised when {@link permissionsOf} changes: accounts with an older version get theirs again. */
export const PERMISSIONS_VERSION = 1;

/** Which of the two accounts of a namespace. */
export type SlotNumber = 1 | 2;

/** The account that holds a generation: odd generations are in slot 1, even ones in slot 2. */
export function slotOfGeneration(generation: number): SlotNumber {
  return generation % 2 === 1 ? 1 : 2;
}

/** The account whose credentials are handed out. */
export function activeSlot(record: Pick<NamespaceRecord, 'generation'>): SlotNumber {
  return slotOfGeneration(record.generation);
}

/** The RabbitMQ user of a namespace's slot. */
export function accountName(usernamePrefix: string, namespace: string, slot: SlotNumber): string {
  return `${usernamePrefix}${namespace}-${slot}`;
}

/**
 * What the accounts of a namespace may do. All patterns are anchored: RabbitMQ matches anywhere in a name otherwise. A
 * namespace and an agent's id hold no character that means anything in a regular expression. They may write requests, so that a claim can
 * use the connection that is there, and read every exchange that is called so, as on Pulse everybody may.
 */
export function permissionsOf(agentId: string, namespace: string): Permissions {
  return {
    configure: `^(queue|exchange)/${namespace}/.*$`,
    write: `^((queue|exchange)/${namespace}/.*|rpc/${agentId}/v[0-9]+)$`,
    read: `^(queue/${namespace}|exchange)/.*$`,
  };
}

/** The connection string for an account: the public address with its credentials in it. */
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
