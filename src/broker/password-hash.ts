import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../util/secret.ts';

const SALT_BYTES = 4;
const HASH_BYTES = 32;

/**
 * The hash that RabbitMQ stores of a password (`rabbit_password_hashing_sha256`): base64 of the salt, followed by the SHA-256
 * of the salt and the password in UTF-8. See RabbitMQ's documentation on credentials and passwords.
 *
 * @param salt 4 random bytes
 */
export function hashPassword(password: Secret, salt: Buffer): string {
  if (salt.length !== SALT_BYTES) throw new RangeError(`A salt has ${SALT_BYTES} bytes.`);
  const digest = createHash('sha256').update(salt).update(password.reveal(), 'utf8').digest();
  return Buffer.concat([salt, digest]).toString('base64');
}

/** Whether `hash`, as RabbitMQ returns it, is a hash of this password. Compares in constant time. */
export function hashMatches(hash: string, password: Secret): boolean {
  const decoded = Buffer.from(hash, 'base64');
  if (decoded.length !== SALT_BYTES + HASH_BYTES) return false;
  const expected = Buffer.from(hashPassword(password, decoded.subarray(0, SALT_BYTES)), 'base64');
  return timingSafeEqual(decoded, expected);
}
