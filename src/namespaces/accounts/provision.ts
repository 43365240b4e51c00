import { HASHING_ALGORITHM, type Management } from '../../broker/management/management.ts';
import { hashPassword } from '../../broker/password-hash.ts';
import type { Config } from '../../config/config.ts';
import type { RandomBytes } from '../../util/clock.ts';
import type { Secret } from '../../util/secret.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { accountName, connectionString, PERMISSIONS_VERSION, permissionsOf, type SlotNumber } from './account-names.ts';
import type { Keyring } from './keyring.ts';
import type { WriteWindow } from '../write-window.ts';

/** Makes accounts and tells their credentials. */
export interface Accounts {
  /**
   * Makes the account of a slot what the record says: password, permissions, limits. Doing it twice does no harm.
   *
   * @throws AgentError `WindowClosed`, `SecretMissing`, `BrokerUnavailable`, `BrokerRefused`
   */
  provision(record: NamespaceRecord, slot: SlotNumber, window: WriteWindow, signal: AbortSignal): Promise<void>;
  /**
   * The connection string of a slot. Makes no call.
   *
   * @throws AgentError `SecretMissing`
   */
  connectionString(record: NamespaceRecord, slot: SlotNumber): string;
  /**
   * The password that the record says of a slot. Makes no call.
   *
   * @throws AgentError `SecretMissing`
   */
  password(record: NamespaceRecord, slot: SlotNumber): Secret;
}

/** What {@link createAccounts} works with. */
export interface AccountParts {
  readonly management: Pick<Management, 'putUser' | 'putPermissions' | 'putUserLimit'>;
  readonly keyring: Keyring;
  readonly storeId: string;
  readonly config: Pick<Config, 'id' | 'usernamePrefix' | 'vhost' | 'publicAmqpUrl' | 'accountLimits'>;
  readonly randomBytes: RandomBytes;
}

/** RabbitMQ's hashes begin with a salt of four bytes. */
const SALT_BYTES = 4;

/**
 * Until this generation, and while the record is not active, both permissions and password are written: a user who was
 * made and not yet given permissions, because the agent died between the two, is seen by no later write. A revocation
 * skips generations. An account that was deleted in between is noted in the record's `permissionsVersion`.
 */
const LAST_FIRST_GENERATION = 2;

/** The accounts of an installation. */
export function createAccounts({ management, keyring, storeId, config, randomBytes }: AccountParts): Accounts {
  const passwordOf = (record: NamespaceRecord, slot: SlotNumber) => {
    const { generation, secretId } = record.slots[slot === 1 ? 0 : 1];
    const username = accountName(config.usernamePrefix, record.namespace, slot);
    return {
      username,
      password: keyring.derive({ secretId, storeId, incarnation: record.incarnation, username, generation }),
    };
  };

  return {
    async provision(record, slot, window, signal) {
      const { username, password } = passwordOf(record, slot);
      const options = { signal, timeoutMs: window.timeoutMs, beforeSend: () => window.assertOpen() };
      const outcome = await management.putUser(
        username,
        {
          passwordHash: hashPassword(password, randomBytes(SALT_BYTES)),
          hashingAlgorithm: HASHING_ALGORITHM,
          tags: [],
        },
        options,
      );
      const { generation } = record.slots[slot === 1 ? 0 : 1];
      const isPermitted = record.permissionsVersion >= PERMISSIONS_VERSION && generation > LAST_FIRST_GENERATION;
      if (outcome === 'updated' && record.state === 'active' && isPermitted) return;
      await management.putPermissions(config.vhost, username, permissionsOf(config.id, record.namespace), options);
      for (const limit of ['max-connections', 'max-channels'] as const) {
        const value = config.accountLimits[limit];
        if (value !== undefined) await management.putUserLimit(username, limit, value, options);
      }
    },

    password: (record, slot) => passwordOf(record, slot).password,

    connectionString(record, slot) {
      const { username, password } = passwordOf(record, slot);
      return connectionString(config.publicAmqpUrl, username, password.reveal());
    },
  };
}
