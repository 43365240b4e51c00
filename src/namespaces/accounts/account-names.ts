import { createHash } from 'node:crypto';
import { requesterPermissions } from '../../broker/request-vhost.ts';
import type { Config } from '../../config/config.ts';
import { permuted } from '../../contract/address-choice.ts';
import { type AmqpUrl, formatAmqpUrl, type Login, type UrlList } from '../../contract/url.ts';
import type { PermissionsByVhost } from '../../broker/user-permissions.ts';
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
 * What the accounts of a namespace may do: in the vhost of the tenants use their own queues and exchanges, and read every
 * exchange that is named `exchange/…`, as every user of a Pulse may; in the vhost of the requests send requests and nothing
 * else. All patterns are anchored, because RabbitMQ matches them anywhere in a name. A namespace holds no character with a
 * meaning in a regular expression.
 */
export function permissionsOf(
  config: Pick<Config, 'id' | 'vhost' | 'requestVhost'>,
  namespace: string,
): PermissionsByVhost {
  return createPermissionsOf(config)(namespace);
}

/** {@link permissionsOf}, for many namespaces. */
export function createPermissionsOf({
  id,
  vhost,
  requestVhost,
}: Pick<Config, 'id' | 'vhost' | 'requestVhost'>): (namespace: string) => PermissionsByVhost {
  const requester = requesterPermissions(id);
  return (namespace) => {
    const own = `^(queue|exchange)/${namespace}/.*$`;
    return {
      [vhost]: { configure: own, write: own, read: `^(queue/${namespace}|exchange)/.*$` },
      [requestVhost]: requester,
    };
  };
}

/** How a client connects: secrets, in the form of the contract. */
export interface ConnectionStrings {
  readonly connectionString: string;
  /** Absent where there is one address. The first is `connectionString`. */
  readonly connectionStrings?: string[];
}

/**
 * The connection strings of an account: the public AMQP URLs with the account's credentials. Each namespace has an order of
 * its own, always the same: clients that know only the first one spread over all, and keep theirs from claim to claim.
 */
export function connectionStrings(publicUrls: UrlList<AmqpUrl>, namespace: string, login: Login): ConnectionStrings {
  const [first, ...others] = publicUrls;
  if (others.length === 0) return { connectionString: formatAmqpUrl({ ...first, login }) };
  const spread = createHash('sha256').update(namespace).digest().readUInt32BE(0) / 2 ** 32;
  const strings = permuted(publicUrls, spread).map((url) => formatAmqpUrl({ ...url, login }));
  return { connectionString: strings[0] ?? '', connectionStrings: strings };
}
