import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { slotOfGeneration } from '../../src/namespaces/slots.ts';

/** The rules that every write to the store must follow; each fault is a sentence. */
export function checkWrite(before: NamespaceRecord | undefined, after: NamespaceRecord | undefined): string[] {
  if (after === undefined) return before?.state === 'deleted' ? [] : ['a record that is no tombstone was removed'];
  const faults = [...checkForm(after)];
  if (after.revision !== (before?.revision ?? 0) + 1) faults.push('the revision did not grow by one');
  if (before === undefined) return [...faults, ...(after.state === 'provisioning' ? [] : ['it does not begin'])];
  if (!NEXT[before.state].includes(after.state)) faults.push(`it went from ${before.state} to ${after.state}`);
  return [
    ...faults,
    ...(before.incarnation === after.incarnation ? checkSameLife(before, after) : checkNextLife(before, after)),
  ];
}

const NEXT: Readonly<Record<NamespaceRecord['state'], readonly NamespaceRecord['state'][]>> = {
  provisioning: ['active', 'expiring', 'provisioning'],
  active: ['active', 'provisioning', 'expiring'],
  // Objects that a deletion left are deleted again, with their tombstone.
  expiring: ['deleted', 'expiring'],
  deleted: ['provisioning', 'expiring', 'deleted'],
};

function checkForm({ generation, slots, state, deletedAtMs }: NamespaceRecord): string[] {
  const faults: string[] = [];
  if (slots[slotOfGeneration(generation) - 1]?.generation !== generation)
    faults.push('the active slot has another generation');
  if ((state === 'deleted') !== (deletedAtMs !== null)) faults.push('it has the wrong time of its end');
  return faults;
}

function checkNextLife(before: NamespaceRecord, after: NamespaceRecord): string[] {
  const faults: string[] = [];
  if (before.state !== 'deleted' || after.state !== 'provisioning') faults.push('an incarnation began that must not');
  if (after.generation !== 1) faults.push('an incarnation began with another generation than 1');
  if ((after.revokedUntilMs ?? 0) < (before.revokedUntilMs ?? 0)) faults.push('the revocation was forgotten');
  return faults;
}

function checkSameLife(before: NamespaceRecord, after: NamespaceRecord): string[] {
  const faults: string[] = [];
  const raise = after.generation - before.generation;
  // For a deleted namespace a revocation changes only the ban on claims.
  const isEnded = before.state === 'expiring' || before.state === 'deleted';
  const isRevoked = raise === 2 && after.state === (isEnded ? before.state : 'provisioning');
  if (raise !== 0 && raise !== 1 && !isRevoked) faults.push(`the generation was raised by ${raise}`);
  if (raise === 1 && after.state !== 'active') faults.push(`it was rotated while it was ${after.state}`);
  if (!isRevoked && (after.revokedUntilMs ?? 0) < (before.revokedUntilMs ?? 0))
    faults.push('a ban was shortened, and by no revocation');
  if (after.expiresMs < before.expiresMs && after.state !== 'expiring')
    faults.push('it ends earlier than was promised');
  for (const index of [0, 1] as const) {
    const [kept, next] = [before.slots[index], after.slots[index]];
    if (next.generation < kept.generation) faults.push(`slot ${index + 1} went back to generation ${next.generation}`);
    if (next.generation !== kept.generation) continue;
    if (next.promisedUntilMs < kept.promisedUntilMs) faults.push(`the promise of slot ${index + 1} shrank`);
    if (next.secretId !== kept.secretId) faults.push(`slot ${index + 1} has another secret and the same generation`);
  }
  return faults;
}
