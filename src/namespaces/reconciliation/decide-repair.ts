import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import type { AccountState } from '../accounts/account-state.ts';
import { forSlot, type SlotNumber, type SlotPair, withSlot } from '../slots.ts';
import { advanceRecord, findLaterGenerations } from './advance-record.ts';
import { type AccountFault, findFaults, type RepairableFault, type RepairContext } from './find-faults.ts';

/**
 * What to do about the accounts of a namespace:
 * - `restore`: repair these faults;
 * - `mark-permissions`: write this record, then decide again. It makes the next rotation grant permissions, which it
 *   otherwise does only when it creates the user: an agent may have died between the user and the permissions;
 * - `advance`: write this record: the broker is ahead of it, as after a restored backup of the store;
 * - `none`: nothing.
 */
export type RepairDecision =
  | { readonly action: 'restore'; readonly faults: readonly RepairableFault[] }
  | { readonly action: 'mark-permissions'; readonly record: NamespaceRecord }
  | { readonly action: 'advance'; readonly record: NamespaceRecord }
  | { readonly action: 'none' };

/**
 * Decides about the accounts of a namespace.
 *
 * @param random at least 0, less than 1.
 */
export function decideRepair(
  record: NamespaceRecord,
  accounts: SlotPair<AccountState>,
  context: RepairContext,
  random: () => number,
): RepairDecision {
  const faults = findFaults(record, accounts, context);
  if (!faults.some(concernsPassword)) return restore(record, faults);
  const later = findLaterGenerations(record, accounts, context);
  const latest = Math.max(...later.map((found) => found?.generation ?? 0));
  if (latest >= record.generation + 2) {
    return { action: 'advance', record: advanceRecord(record, later, latest, context, random) };
  }
  // One generation ahead is a rotation under way, or one whose agent died: the next rotation writes the same password.
  const isRotating = (fault: AccountFault) => forSlot(later, fault.slot) !== undefined && concernsPassword(fault);
  return restore(
    record,
    faults.filter((fault) => !isRotating(fault)),
  );
}

function concernsPassword(fault: AccountFault): boolean {
  return fault.kind !== 'absent' && (fault.drift.includes('password') || fault.drift.includes('account'));
}

function restore(record: NamespaceRecord, faults: readonly AccountFault[]): RepairDecision {
  if (faults.length === 0) return { action: 'none' };
  const repairable = faults.filter((fault) => fault.kind !== 'absent');
  if (repairable.length === faults.length) return { action: 'restore', faults: repairable };
  return { action: 'mark-permissions', record: { ...record, revision: record.revision + 1, permissionsVersion: 0 } };
}

/**
 * The record to provision a stray account from: as the next rotation makes it. However late this write arrives, it does
 * no harm: that rotation writes the same password, and no client gets it before. Deleting the account could delete what
 * the rotation has just created.
 */
export function beforeRotation(record: NamespaceRecord, slot: SlotNumber): NamespaceRecord {
  const next: Slot = { generation: record.generation + 1, secretId: record.nextSecretId, promisedUntilMs: 0 };
  return { ...record, slots: withSlot(record, slot, next) };
}
