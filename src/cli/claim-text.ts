import type { Claim } from '../client/client.ts';
import type { Style } from './output.ts';

/** What a claim gave, for programs; the connection string only where it was asked for. */
export function claimValue({ connectionString, ...claim }: Claim, showCredentials: boolean): object {
  return showCredentials ? { ...claim, connectionString } : claim;
}

/** The same for people: without being asked, the password is left out. */
export function claimText({ connectionString, ...claim }: Claim, showCredentials: boolean, style: Style): string {
  const lines = [
    `${style.good('claimed')} ${claim.namespace}`,
    `  expires         ${claim.expires}`,
    `  claim again at  ${claim.reclaimAt}`,
    `  connect with    ${showCredentials ? connectionString : withoutPassword(connectionString)}`,
  ];
  if (!showCredentials) lines.push(style.quiet('  (the password is shown with --show-credentials)'));
  return lines.join('\n');
}

function withoutPassword(connectionString: string): string {
  return connectionString.replace(/:[^:@/]+@/, ':…@');
}
