import type { Ledger } from './ledger.ts';
import { type Report, Violation } from './violation.ts';

/** The form of a derived password: 32 bytes as base64url. */
const PASSWORD = /(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/g;

/** Looks for secrets in texts. */
export interface SecretScan {
  /** Reports a secret in a text of this place. */
  check(text: string, place: string): void;
}

/** Knows the fixed secrets and every password that was handed out. */
export function createSecretScan(
  secrets: readonly string[],
  ledger: Pick<Ledger, 'namespaceOfPassword'>,
  report: Report,
): SecretScan {
  return {
    check(text, place) {
      const fixed = secrets.find((secret) => text.includes(secret));
      if (fixed !== undefined) report(new Violation('secrets', `${place} holds a secret.`, [fixed.slice(0, 4)]));
      for (const candidate of text.match(PASSWORD) ?? []) {
        const namespace = ledger.namespaceOfPassword(candidate);
        if (namespace === undefined) continue;
        report(new Violation('secrets', `${place} holds a password of ${namespace}.`, [namespace]));
      }
    },
  };
}
