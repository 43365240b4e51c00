import type { NamespaceRecord, Slot } from '../store/records.ts';
import { activeSlot } from './accounts.ts';
import { isUnsettled } from './decide-revocation.ts';
import type { Keyring } from './passwords.ts';

/**
 * The ids of the agent secrets without which a namespace is served no longer: those of its active account and of the next
 * generation, and until a revocation is settled, for which both accounts are compared, that of the other account, too.
 */
export function neededKeyIds(record: NamespaceRecord): ReadonlySet<string> {
  const active = record.slots[activeSlot(record) - 1] as Slot;
  const slots = isUnsettled(record) ? record.slots : [active];
  return new Set([...slots.map(({ keyId }) => keyId), record.nextKeyId]);
}

/** Adds these records to the number of namespaces that need each secret that is not there, by its id. */
export function addMissingKeys(
  missing: Map<string, number>,
  records: readonly NamespaceRecord[],
  keyring: Pick<Keyring, 'has'>,
): void {
  for (const id of records.flatMap((record) => [...neededKeyIds(record)])) {
    if (!keyring.has(id)) missing.set(id, (missing.get(id) ?? 0) + 1);
  }
}
