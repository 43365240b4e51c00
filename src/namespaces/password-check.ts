import { HASHING_ALGORITHM } from '../broker/management.ts';
import { hashMatches } from '../broker/password-hash.ts';
import type { NamespaceRecord } from '../store/records.ts';
import { accountName } from './accounts.ts';
import type { CheckPassword } from './decide-repair.ts';
import type { Keyring } from './passwords.ts';

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
    (slot, { generation, keyId }, user) => {
      if (!keyring.has(keyId)) return undefined;
      if (user.hashingAlgorithm !== HASHING_ALGORITHM) return false;
      const username = accountName(usernamePrefix, record.namespace, slot);
      return hashMatches(
        user.passwordHash,
        keyring.derive({ keyId, storeId, life: record.life, username, generation }),
      );
    };
}

/** A check that remembers what fitted. */
export interface VerifiedHashes {
  /** The check of a record: what fitted in this pass or the one before is not derived again. */
  of(record: NamespaceRecord): CheckPassword;
  /** Ends a pass: what was not asked for in it is forgotten, so that there is at most one entry for each account. */
  endPass(): void;
}

/** Deriving and hashing a password takes far longer than comparing what RabbitMQ shows with what it showed before. */
export function createVerifiedHashes(check: (record: NamespaceRecord) => CheckPassword): VerifiedHashes {
  let before = new Map<string, string>();
  let now = new Map<string, string>();
  return {
    of: (record) => (slot, origin, user) => {
      // Joined and not added up: V8 would keep every part of each for itself, which is twice as much.
      const verified = [user.passwordHash, record.life, origin.generation, origin.keyId].join(' ');
      const isSame = before.get(user.name) === verified || now.get(user.name) === verified;
      const isKnown = isSame && user.hashingAlgorithm === HASHING_ALGORITHM;
      const fits = isKnown ? true : check(record)(slot, origin, user);
      if (fits === true) now.set(user.name, verified);
      return fits;
    },
    endPass() {
      before = now;
      now = new Map();
    },
  };
}
