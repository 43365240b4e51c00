import { HASHING_ALGORITHM, type Management } from '../../broker/management/management.ts';
import { hashPassword } from '../../broker/password-hash.ts';
import { storeTag } from '../../broker/store-tag.ts';
import type { Config } from '../../config/config.ts';
import { parseAmqpUrls } from '../../contract/url.ts';
import type { RandomBytes } from '../../util/clock.ts';
import type { Secret } from '../../util/secret.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import {
  accountName,
  type ConnectionStrings,
  connectionStrings,
  PERMISSIONS_VERSION,
  permissionsOf,
} from './account-names.ts';
import { type SlotNumber, slotOf } from '../slots.ts';
import type { Keyring } from './keyring.ts';
import { type WriteWindow, writeOptions } from '../write-window.ts';

/** Provisions accounts and derives their credentials. */
export interface Accounts {
  /**
   * Gives the account of a slot the password, permissions and limits that the record says and the tag of the store, and
   * creates it if it does not exist. It may be repeated.
   *
   * @throws AgentError `WindowClosed`, `SecretMissing`, `BrokerUnavailable`, `BrokerRefused`
   */
  provision(record: NamespaceRecord, slot: SlotNumber, window: WriteWindow, signal: AbortSignal): Promise<void>;
  /**
   * The connection strings of a slot, one for each public address, without a call.
   *
   * @throws AgentError `SecretMissing`
   */
  connectionStrings(record: NamespaceRecord, slot: SlotNumber): ConnectionStrings;
  /**
   * The password of a slot by the record, without a call.
   *
   * @throws AgentError `SecretMissing`
   */
  password(record: NamespaceRecord, slot: SlotNumber): Secret;
}

export interface AccountParts {
  readonly management: Pick<Management, 'putUser' | 'putPermissions' | 'putUserLimit'>;
  readonly keyring: Keyring;
  readonly storeId: string;
  readonly config: Pick<Config, 'id' | 'usernamePrefix' | 'vhost' | 'requestVhost' | 'publicAmqpUrl' | 'accountLimits'>;
  readonly randomBytes: RandomBytes;
}

/** RabbitMQ's hashes begin with a salt of four bytes. */
const SALT_BYTES = 4;

/**
 * Up to this generation, and while the record is not active, permissions are written with every password. The agent may
 * have died between creating a user and its permissions, and no later write would see that. A revocation skips
 * generations. The record's `permissionsVersion` says when an account was deleted in between.
 */
const LAST_GENERATION_WITH_PERMISSIONS = 2;

/** Creates the accounts of an installation. */
export function createAccounts({ management, keyring, storeId, config, randomBytes }: AccountParts): Accounts {
  // Once: every claim returns a connection string.
  const publicUrls = parseAmqpUrls(config.publicAmqpUrl);
  const passwordOf = (record: NamespaceRecord, slot: SlotNumber) => {
    const { generation, secretId } = slotOf(record, slot);
    const username = accountName(config.usernamePrefix, record.namespace, slot);
    return {
      username,
      password: keyring.derive({ secretId, storeId, incarnation: record.incarnation, username, generation }),
    };
  };

  return {
    async provision(record, slot, window, signal) {
      const { username, password } = passwordOf(record, slot);
      const options = writeOptions(window, signal);
      const outcome = await management.putUser(
        username,
        {
          passwordHash: hashPassword(password, randomBytes(SALT_BYTES)),
          hashingAlgorithm: HASHING_ALGORITHM,
          tags: [storeTag(storeId)],
        },
        options,
      );
      const { generation } = slotOf(record, slot);
      const isPermitted =
        record.permissionsVersion >= PERMISSIONS_VERSION && generation > LAST_GENERATION_WITH_PERMISSIONS;
      if (outcome === 'updated' && record.state === 'active' && isPermitted) return;
      // At the same time: RabbitMQ changes the permissions and the limits of a user each in a transaction.
      await Promise.all([
        ...Object.entries(permissionsOf(config, record.namespace)).map(([vhost, granted]) =>
          management.putPermissions(vhost, username, granted, options),
        ),
        ...(['max-connections', 'max-channels'] as const).map((limit) => {
          const value = config.accountLimits[limit];
          return value === undefined ? undefined : management.putUserLimit(username, limit, value, options);
        }),
      ]);
    },

    password: (record, slot) => passwordOf(record, slot).password,

    connectionStrings(record, slot) {
      const { username, password } = passwordOf(record, slot);
      return connectionStrings(publicUrls, record.namespace, { username, password: password.reveal() });
    },
  };
}
