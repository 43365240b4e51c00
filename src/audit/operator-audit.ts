import { hostname, userInfo } from 'node:os';
import type { AuditRecord } from '../store/audit-records.ts';
import { systemClock } from '../util/clock.ts';
import { type AuditEntry, makeAuditRecord } from './audit.ts';

/** The audit record of a command of an operator, with their account on this machine. */
export function makeOperatorRecord(entry: AuditEntry): AuditRecord {
  const operator = { actor: 'operator', actorName: operatorName() } as const;
  return makeAuditRecord({ ...operator, ...entry }, hostname(), systemClock.nowMs());
}

function operatorName(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container the user need not have a name.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
