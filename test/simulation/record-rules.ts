import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { slotOfGeneration } from '../../src/namespaces/slots.ts';

/** Checks one write to the store. Each fault is a sentence. */
export function checkWrite(before: NamespaceRecord | undefined, after: NamespaceRecord | undefined): string[] {
  if (after === undefined) return before?.state === 'deleted' ? [] : ['a record that is no tombstone was removed'];
  const faults = [...checkForm(after)];
  if (after.revision !== (before?.revision ?? 0) + 1) faults.push('the revision did not grow by one');
  if (before === undefined) return [...faults, ...(after.state === 'provisioning' ? [] : ['its first state is wrong'])];
  if (!NEXT[before.state].includes(after.state)) faults.push(`it went from ${before.state} to ${after.state}`);
  return [
    ...faults,
    ...(before.incarnation === after.incarnation
      ? checkSameIncarnation(before, after)
      : checkNextIncarnation(before, after)),
  ];
}

const NEXT: Readonly<Record<NamespaceRecord['state'], readonly NamespaceRecord['state'][]>> = {
  provisioning: ['active', 'expiring', 'provisioning'],
  active: ['active', 'provisioning', 'expiring'],
  // A tombstone with leftovers is deleted again.
  expiring: ['deleted', 'expiring'],
  deleted: ['provisioning', 'expiring', 'deleted'],
};

function checkForm({ generation, slots, state, deletedAtMs }: NamespaceRecord): string[] {
  const faults: string[] = [];
  if (slots[slotOfGeneration(generation) - 1]?.generation !== generation)
    faults.push('the active slot has another generation');
  if ((state === 'deleted') !== (deletedAtMs !== null)) faults.push('its deletion time is wrong');
  return faults;
}

function checkNextIncarnation(before: NamespaceRecord, after: NamespaceRecord): string[] {
  const faults: string[] = [];
  if (before.state !== 'deleted' || after.state !== 'provisioning') faults.push('an incarnation began too early');
  if (after.generation !== 1) faults.push('an incarnation began with another generation than 1');
  if ((after.revokedUntilMs ?? 0) < (before.revokedUntilMs ?? 0)) faults.push('the revocation was forgotten');
  return faults;
}

function checkSameIncarnation(before: NamespaceRecord, after: NamespaceRecord): string[] {
  const faults: string[] = [];
  const raise = after.generation - before.generation;
  // A revocation of a namespace without accounts only refuses claims.
  const hasNoAccounts = before.state === 'expiring' || before.state === 'deleted';
  const isRevoked = raise === 2 && after.state === (hasNoAccounts ? before.state : 'provisioning');
  if (raise !== 0 && raise !== 1 && !isRevoked) faults.push(`the generation was raised by ${raise}`);
  if (raise === 1 && after.state !== 'active') faults.push(`it was rotated while it was ${after.state}`);
  if (!isRevoked && (after.revokedUntilMs ?? 0) < (before.revokedUntilMs ?? 0))
    faults.push('the refusal of claims was shortened without a revocation');
  if (after.expiresMs < before.expiresMs && after.state !== 'expiring') faults.push('it expires earlier than promised');
  for (const index of [0, 1] as const) {
    const [previous, next] = [before.slots[index], after.slots[index]];
    if (next.generation < previous.generation)
      faults.push(`slot ${index + 1} went back to generation ${next.generation}`);
    if (next.generation !== previous.generation) continue;
    if (next.promisedUntilMs < previous.promisedUntilMs) faults.push(`the promise of slot ${index + 1} shrank`);
    if (next.secretId !== previous.secretId)
      faults.push(`slot ${index + 1} has another secret and the same generation`);
  }
  return faults;
}
