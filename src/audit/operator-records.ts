import { hostname, userInfo } from 'node:os';
import { systemClock } from '../util/clock.ts';
import { type AuditEntry, makeAuditRecord } from './audit.ts';
import type { AuditRecord } from '../store/audit-records.ts';

/** The record of what somebody did at the command line, with the account that they have on this machine. */
export function operatorRecord(entry: AuditEntry): AuditRecord {
  const operator = { actor: 'operator', actorName: accountName() } as const;
  return makeAuditRecord({ ...operator, ...entry }, hostname(), systemClock.nowMs());
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container the user need not have a name.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
