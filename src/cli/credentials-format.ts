import { shellQuoted } from '../util/shell-quoted.ts';

/** How a file has credentials. */
export type CredentialsFormat = (typeof CREDENTIALS_FORMATS)[number];

export const CREDENTIALS_FORMATS = ['url', 'env', 'json'] as const;

/** The credentials of a lease and their times. */
export interface HeldCredentials {
  readonly namespace: string;
  readonly connectionString: string;
  readonly connectionStrings: readonly string[];
  readonly reclaimAt: Date;
  readonly expires: Date;
}

/** The text of a file with credentials: the connection string, variables for an environment, or a JSON object. */
export function formatCredentials(format: CredentialsFormat, held: HeldCredentials): string {
  const { namespace, connectionString, connectionStrings, reclaimAt, expires } = held;
  if (format === 'url') return `${connectionString}\n`;
  if (format === 'env') {
    const all = connectionStrings.join();
    return `PULSE_CONNECTION_STRING=${asValue(connectionString)}\nPULSE_CONNECTION_STRINGS=${asValue(all)}\n`;
  }
  const times = { reclaimAt: reclaimAt.toISOString(), expires: expires.toISOString() };
  return `${JSON.stringify({ namespace, connectionString, connectionStrings, ...times })}\n`;
}

/** A value for shells and systemd. Docker takes quotes as part of it, so it has them only where a shell needs them. */
function asValue(value: string): string {
  return /^[\w@%+=:,./?~-]*$/.test(value) ? value : shellQuoted(value);
}
