import { hkdfSync } from 'node:crypto';
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
  has(secretId: string): boolean;
  /**
   * The password of an account. Every agent that has the secret derives the same one, so that it need not be stored and
   * an account can be provisioned again.
   *
   * @throws AgentError `SecretMissing` when this agent lacks the secret.
   */
  derive(origin: PasswordOrigin): Secret;
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
  const secrets = new Map<string, Secret>();
  for (const secret of [...previous, current]) secrets.set(secretIdOf(secret), secret);
  const currentSecretId = secretIdOf(current);
  return {
    currentSecretId,
    has: (secretId) => secrets.has(secretId),
    derive({ secretId, storeId, incarnation, username, generation }) {
      const secret = secrets.get(secretId);
      if (secret === undefined) {
        throw new AgentError(
          'SecretMissing',
          `This agent does not have secret ${secretId}, from which the password of ${username} is derived: add it to PULSE_AGENT_PREVIOUS_SECRETS.`,
        );
      }
      const info = JSON.stringify(['pulse-agent/v1', storeId, incarnation, username, generation]);
      return new Secret(expand(secret, info, PASSWORD_BYTES));
    },
  };
}

/** Names a secret without revealing it. */
function secretIdOf(secret: Secret): string {
  return expand(secret, JSON.stringify(['pulse-agent/v1', 'key id']), SECRET_ID_BYTES);
}

function expand(secret: Secret, info: string, bytes: number): string {
  return Buffer.from(hkdfSync('sha256', secret.reveal(), '', info, bytes)).toString('base64url');
}
