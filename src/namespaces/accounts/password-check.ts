import { hash } from 'node:crypto';
import { HASHING_ALGORITHM } from '../../broker/management/management.ts';
import { hashMatches } from '../../broker/password-hash.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { accountName } from './account-names.ts';
import type { CheckPassword } from '../reconciliation/decide-repair.ts';
import type { Keyring } from './keyring.ts';

/** What {@link createPasswordCheck} works with. */
export interface PasswordCheckParts {
  readonly keyring: Pick<Keyring, 'has' | 'derive'>;
  readonly storeId: string;
  readonly usernamePrefix: string;
}

/** Makes the function that tells whether an account of a record has the password of a generation. */
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

/** A check that remembers what fitted. */
export interface VerifiedHashes {
  /** The check of a record: what fitted in this pass or the one before, and is as it was, is not derived again. */
  of(record: NamespaceRecord): CheckPassword;
  /** Ends a pass: what was not asked for in it is forgotten, so that there is at most one entry for each account. */
  endPass(): void;
}

/** Deriving and hashing a password takes far longer than comparing what RabbitMQ shows with what it showed before. */
export function createVerifiedHashes(check: (record: NamespaceRecord) => CheckPassword): VerifiedHashes {
  // A digest for each, as a third of what it is of: there may be tens of thousands.
  const fitted = new Map<string, string>();
  let asked = new Set<string>();
  return {
    of: (record) => (slot, origin, user) => {
      const { name, hashingAlgorithm } = user;
      const seen = [user.passwordHash, hashingAlgorithm, record.incarnation, origin.generation, origin.secretId].join(
        ' ',
      );
      const digest = hash('sha256', seen, 'base64url');
      const fits = fitted.get(name) === digest ? true : check(record)(slot, origin, user);
      asked.add(name);
      if (fits === true) fitted.set(name, digest);
      else fitted.delete(name);
      return fits;
    },
    endPass() {
      for (const name of fitted.keys()) if (!asked.has(name)) fitted.delete(name);
      asked = new Set();
    },
  };
}
