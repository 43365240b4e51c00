import type { NamespaceRecord, Slot } from '../store/namespace-record.ts';

/** Which of the two slots of a namespace, and so which of its two accounts. */
export type SlotNumber = 1 | 2;

/** Both slots. */
export const SLOT_NUMBERS: readonly [SlotNumber, SlotNumber] = [1, 2];

/** One value for each slot. */
export type SlotPair<T> = readonly [T, T];

/** The slot that holds a generation: odd generations are in slot 1, even ones in slot 2. */
export function slotOfGeneration(generation: number): SlotNumber {
  return generation % 2 === 1 ? 1 : 2;
}

/** The slot whose credentials are handed out. */
export function activeSlot({ generation }: Pick<NamespaceRecord, 'generation'>): SlotNumber {
  return slotOfGeneration(generation);
}

/** The slot whose credentials were handed out before, and which the next rotation writes. */
export function standbySlot({ generation }: Pick<NamespaceRecord, 'generation'>): SlotNumber {
  return slotOfGeneration(generation + 1);
}

/** The value for one slot. */
export function forSlot<T>([first, second]: SlotPair<T>, slot: SlotNumber): T {
  return slot === 1 ? first : second;
}

/** What a record says of one slot. */
export function slotOf({ slots }: Pick<NamespaceRecord, 'slots'>, slot: SlotNumber): Slot {
  return forSlot(slots, slot);
}

/** The slots of a record, with these fields of one slot replaced. */
export function withSlot(
  { slots: [first, second] }: Pick<NamespaceRecord, 'slots'>,
  slot: SlotNumber,
  changed: Partial<Slot>,
): SlotPair<Slot> {
  return slot === 1 ? [{ ...first, ...changed }, second] : [first, { ...second, ...changed }];
}

/** The slots of a record at this generation. */
export function slotsAt(generation: number, { active, standby }: { active: Slot; standby: Slot }): SlotPair<Slot> {
  return activeSlot({ generation }) === 1 ? [active, standby] : [standby, active];
}
