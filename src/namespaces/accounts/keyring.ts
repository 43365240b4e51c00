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

/** The agent's secrets, by id. */
export interface Keyring {
  /** The id of the secret that new generations use. */
  readonly currentSecretId: string;
  has(secretId: string): boolean;
  /**
   * The password of an account: the same from every agent that has the secret, so that it need not be stored and making
   * an account can be done again.
   *
   * @throws AgentError `SecretMissing` when no secret has that id.
   */
  derive(origin: PasswordOrigin): Secret;
}

const PASSWORD_BYTES = 32;
const KEY_ID_BYTES = 8;

/** The agent's current secret and those it still reads. */
export function createKeyring(current: Secret, previous: readonly Secret[]): Keyring {
  const keys = new Map<string, Secret>();
  for (const secret of [...previous, current]) keys.set(keyIdOf(secret), secret);
  const currentSecretId = keyIdOf(current);
  return {
    currentSecretId: currentSecretId,
    has: (secretId) => keys.has(secretId),
    derive({ secretId, storeId, incarnation, username, generation }) {
      const secret = keys.get(secretId);
      if (secret === undefined) {
        throw new AgentError(
          'SecretMissing',
          `This agent has not the secret with the id ${secretId}, from which the password of ${username} is derived: add it to PULSE_AGENT_PREVIOUS_SECRETS.`,
        );
      }
      const info = JSON.stringify(['pulse-agent/v1', storeId, incarnation, username, generation]);
      return new Secret(expand(secret, info, PASSWORD_BYTES));
    },
  };
}

/** A name for a secret that tells nothing of it. */
function keyIdOf(secret: Secret): string {
  return expand(secret, JSON.stringify(['pulse-agent/v1', 'key id']), KEY_ID_BYTES);
}

function expand(secret: Secret, info: string, bytes: number): string {
  return Buffer.from(hkdfSync('sha256', secret.reveal(), '', info, bytes)).toString('base64url');
}
