import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { AgentError } from '../../util/agent-errors.ts';
import { Secret } from '../../util/secret.ts';

/** What a password is derived from, besides the agent secret. */
export interface PasswordOrigin {
  readonly secretId: string;
  readonly storeId: string;
  readonly incarnation: string;
  readonly username: string;
  readonly generation: number;
}

/** The agent secrets that one agent has, by secretId. */
export interface Keyring {
  /** Of the secret that new generations use. */
  readonly currentSecretId: string;
  /** Of all secrets, that of new generations first. */
  readonly secretIds: readonly string[];
  has(secretId: string): boolean;
  /**
   * The password of an account. Every agent that has the secret derives the same one, so that it need not be stored and
   * an account can be provisioned again.
   *
   * @throws AgentError `SecretMissing` when this agent lacks the secret.
   */
  derive(origin: PasswordOrigin): Secret;
}

/** The agent lacks a secret; another agent may have it. */
export class SecretMissing extends AgentError {
  readonly secretId: string;

  constructor(secretId: string, username: string) {
    super(
      'SecretMissing',
      `This agent does not have secret ${secretId}, from which the password of ${username} is derived: add it to PULSE_AGENT_PREVIOUS_SECRETS, or revoke the namespace if no copy of it is left.`,
      { details: { secretId } },
    );
    this.secretId = secretId;
  }
}

const PASSWORD_BYTES = 32;
const SECRET_ID_BYTES = 8;

/**
 * Creates a keyring.
 *
 * @param current derives the passwords of new generations.
 * @param previous derive passwords of generations made with them.
 */
export function createKeyring(current: Secret, previous: readonly Secret[]): Keyring {
  const currentKey = extract(current);
  const currentSecretId = secretIdOf(currentKey);
  const keys = new Map([currentKey, ...previous.map(extract)].map((key) => [secretIdOf(key), key]));
  return {
    currentSecretId,
    secretIds: [...keys.keys()],
    has: (secretId) => keys.has(secretId),
    derive({ secretId, storeId, incarnation, username, generation }) {
      const key = keys.get(secretId);
      if (key === undefined) throw new SecretMissing(secretId, username);
      const info = JSON.stringify(['pulse-agent/v1', storeId, incarnation, username, generation]);
      return new Secret(expand(key, info, PASSWORD_BYTES));
    },
  };
}

/** Names a secret without revealing it. */
export function idOfSecret(secret: Secret): string {
  return secretIdOf(extract(secret));
}

function secretIdOf(key: KeyObject): string {
  return expand(key, JSON.stringify(['pulse-agent/v1', 'key id']), SECRET_ID_BYTES);
}

/**
 * The first step of HKDF with SHA-256 and no salt (RFC 5869), which depends on the secret alone. Node's `hkdfSync` would do
 * both steps for each password: 8 µs of CPU instead of 1.5, and every claim derives one. A KeyObject does not print its key.
 */
function extract(secret: Secret): KeyObject {
  return createSecretKey(createHmac('sha256', '').update(secret.reveal()).digest());
}

/**
 * The second step of HKDF, in base64url.
 *
 * @param bytes 32 at most, the first block
 */
function expand(key: KeyObject, info: string, bytes: number): string {
  return createHmac('sha256', key).update(info).update('\x01').digest().subarray(0, bytes).toString('base64url');
}
