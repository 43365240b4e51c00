import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { namespacePages } from '../../store/paged-listing.ts';
import type { SecretSighting, SecretSightingStore } from '../../store/secret-records.ts';
import type { NamespaceStore } from '../../store/store.ts';
import { activeSlot, slotOf } from '../slots.ts';
import { needsRecheck } from '../revocation/decide-revocation.ts';
import type { Keyring } from './keyring.ts';

/**
 * The secretIds that are needed to serve a namespace: those of its active account and of the next generation, and until
 * a revocation is finished, which checks both accounts, also that of the standby account.
 */
export function neededSecretIds(record: NamespaceRecord): ReadonlySet<string> {
  const active = slotOf(record, activeSlot(record));
  const slots = needsRecheck(record) ? record.slots : [active];
  return new Set([...slots.map(({ secretId }) => secretId), record.nextSecretId]);
}

/**
 * How many namespaces need each secret, by secretId.
 *
 * @throws AgentError `StoreUnavailable`; the signal's reason
 */
export async function countNeededSecrets(
  namespaces: Pick<NamespaceStore, 'list'>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for await (const page of namespacePages(namespaces, signal, { states: ['provisioning', 'active'] })) {
    for (const id of page.flatMap((record) => [...neededSecretIds(record)])) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/**
 * What agents recorded about these secrets, by secretId.
 *
 * @throws AgentError `StoreUnavailable`
 */
export async function readSightings(
  sightings: Pick<SecretSightingStore, 'get'>,
  secretIds: Iterable<string>,
): Promise<ReadonlyMap<string, SecretSighting>> {
  const found = new Map<string, SecretSighting>();
  for (const secretId of secretIds) {
    const sighting = await sightings.get(secretId);
    if (sighting !== undefined) found.set(secretId, sighting);
  }
  return found;
}

/** Counts, by secretId, how many of these namespaces need each secret that the keyring lacks. */
export function addMissingSecrets(
  missing: Map<string, number>,
  records: readonly NamespaceRecord[],
  keyring: Pick<Keyring, 'has'>,
): void {
  for (const id of records.flatMap((record) => [...neededSecretIds(record)])) {
    if (!keyring.has(id)) missing.set(id, (missing.get(id) ?? 0) + 1);
  }
}
