import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { activeSlot } from './account-names.ts';
import { isUnsettled } from '../revocation/decide-revocation.ts';
import type { Keyring } from './keyring.ts';

/**
 * The ids of the agent secrets without which a namespace is served no longer: those of its active account and of the next
 * generation, and until a revocation is settled, for which both accounts are compared, that of the other account, too.
 */
export function neededSecretIds(record: NamespaceRecord): ReadonlySet<string> {
  const active = record.slots[activeSlot(record) - 1] as Slot;
  const slots = isUnsettled(record) ? record.slots : [active];
  return new Set([...slots.map(({ secretId }) => secretId), record.nextSecretId]);
}

/** Adds these records to the number of namespaces that need each secret that is not there, by its id. */
export function addMissingSecrets(
  missing: Map<string, number>,
  records: readonly NamespaceRecord[],
  keyring: Pick<Keyring, 'has'>,
): void {
  for (const id of records.flatMap((record) => [...neededSecretIds(record)])) {
    if (!keyring.has(id)) missing.set(id, (missing.get(id) ?? 0) + 1);
  }
}
