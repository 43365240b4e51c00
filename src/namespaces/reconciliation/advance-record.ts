import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import type { AccountState } from '../accounts/account-state.ts';
import { forSlot, SLOT_NUMBERS, slotOfGeneration, type SlotNumber, slotsAt, type SlotPair } from '../slots.ts';
import { nextRotationMs } from '../timing.ts';
import type { RepairContext } from './find-faults.ts';

/** A generation later than the record's whose password an account has. */
type LaterGeneration = Pick<Slot, 'generation' | 'secretId'>;

/** How many generations beyond those that time explains are tried, because revocations raise the generation, too. */
const EXTRA_GENERATIONS = 50;

/** More than a namespace has in its longest lifetime by the default settings. */
const MAX_GENERATIONS = 2000;

/** For each account the generation of this incarnation, later than the record's, whose password it has. */
export function findLaterGenerations(
  record: NamespaceRecord,
  accounts: SlotPair<AccountState>,
  { nowMs, intervals, keyring, check }: RepairContext,
): SlotPair<LaterGeneration | undefined> {
  const rotations = Math.ceil(Math.max(0, nowMs - record.nextRotationMs) / intervals.rotationMs);
  const last = record.generation + Math.min(rotations + EXTRA_GENERATIONS, MAX_GENERATIONS);
  const named = [record.nextSecretId, ...record.slots.map(({ secretId }) => secretId), keyring.currentSecretId];
  const secretIds = [...new Set(named)].filter((secretId) => keyring.has(secretId));
  const findFor = (slot: SlotNumber): LaterGeneration | undefined => {
    const { user } = forSlot(accounts, slot);
    if (user === undefined) return undefined;
    for (let generation = record.generation + 1; generation <= last; generation += 1) {
      if (slotOfGeneration(generation) !== slot) continue;
      const secretId = secretIds.find((id) => check(slot, { generation, secretId: id }, user) === true);
      if (secretId !== undefined) return { generation, secretId };
    }
    return undefined;
  };
  const [first, second] = SLOT_NUMBERS;
  return [findFor(first), findFor(second)];
}

/**
 * The record at the generation that the broker has, as after a restored backup of the store. What was promised since
 * the backup is unknown, so the promises are the latest that can have been made. The same goes for `expires`: a
 * namespace that was claimed again since then is not deleted because of an old record.
 */
export function advanceRecord(
  record: NamespaceRecord,
  later: SlotPair<LaterGeneration | undefined>,
  generation: number,
  { nowMs, intervals, keyring }: RepairContext,
  random: () => number,
): NamespaceRecord {
  const secretOf = (wanted: number) => later.find((found) => found?.generation === wanted)?.secretId;
  const { rotationMs, defaultLifetimeMs } = intervals;
  const secretId = secretOf(generation) ?? keyring.currentSecretId;
  const standbySecretId = secretOf(generation - 1) ?? secretId;
  const active: Slot = { generation, secretId, promisedUntilMs: nowMs + 2 * rotationMs };
  const standby: Slot = {
    generation: generation - 1,
    secretId: standbySecretId,
    promisedUntilMs: nowMs + rotationMs / 2,
  };
  return {
    ...record,
    revision: record.revision + 1,
    generation,
    slots: slotsAt(generation, { active, standby }),
    nextSecretId: keyring.currentSecretId,
    nextRotationMs: nextRotationMs(nowMs, intervals, random),
    expiresMs: Math.max(record.expiresMs, nowMs + defaultLifetimeMs),
  };
}
