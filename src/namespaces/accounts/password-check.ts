import { hash } from 'node:crypto';
import { type BrokerUser, HASHING_ALGORITHM } from '../../broker/management/management.ts';
import { hashMatches } from '../../broker/password-hash.ts';
import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { accountName } from './account-names.ts';
import type { SlotNumber } from '../slots.ts';
import type { Keyring } from './keyring.ts';

/** Whether an account has the password of a generation; undefined: this agent lacks the secret and cannot check. */
export type CheckPassword = (
  slot: SlotNumber,
  origin: Pick<Slot, 'generation' | 'secretId'>,
  user: BrokerUser,
) => boolean | undefined;

interface PasswordCheckParts {
  readonly keyring: Pick<Keyring, 'has' | 'derive'>;
  readonly storeId: string;
  readonly usernamePrefix: string;
}

/** Creates the check whether an account of a record has the password of a generation. */
export function createPasswordCheck({
  keyring,
  storeId,
  usernamePrefix,
}: PasswordCheckParts): (record: NamespaceRecord) => CheckPassword {
  return (record) =>
    (slot, { generation, secretId }, user) => {
      if (!keyring.has(secretId)) return undefined;
      if (user.hashingAlgorithm !== HASHING_ALGORITHM) return false;
      const username = accountName(usernamePrefix, record.namespace, slot);
      return hashMatches(
        user.passwordHash,
        keyring.derive({ secretId, storeId, incarnation: record.incarnation, username, generation }),
      );
    };
}

/** A password check with a cache of matches. */
export interface VerifiedHashes {
  /** The check of a record. What matched at its last check, and is unchanged, is not derived again. */
  of(record: NamespaceRecord): CheckPassword;
  /** Forgets accounts that are gone. */
  forget(isGone: (account: string) => boolean): void;
}

/** Deriving and hashing a password takes far longer than comparing RabbitMQ's hash with the last one. */
export function createVerifiedHashes(check: (record: NamespaceRecord) => CheckPassword): VerifiedHashes {
  // Digests, which take a third of the memory: there may be tens of thousands.
  const matched = new Map<string, string>();
  return {
    of: (record) => (slot, origin, user) => {
      const { name, hashingAlgorithm } = user;
      const seen = [user.passwordHash, hashingAlgorithm, record.incarnation, origin.generation, origin.secretId].join(
        ' ',
      );
      const digest = hash('sha256', seen, 'base64url');
      const isMatch = matched.get(name) === digest ? true : check(record)(slot, origin, user);
      if (isMatch === true) matched.set(name, digest);
      else matched.delete(name);
      return isMatch;
    },
    forget(isGone) {
      for (const name of matched.keys()) if (isGone(name)) matched.delete(name);
    },
  };
}
