import {
  deletionStartsMs,
  fenceMs,
  type Intervals,
  nameReusableMs,
  settlementMs,
} from '../../src/namespaces/timing.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { EPOCH_MS } from './machine.ts';
import type { World } from './world.ts';

/**
 * The time until one of the instants on which the decisions depend, by the fastest clock or by the slowest; 0 when all
 * are past.
 */
export function untilInstant({ random, intervals, store, timeline }: World, namespace?: string): number {
  const instants = [...store.records.values()]
    .filter((record) => namespace === undefined || record.namespace === namespace)
    .flatMap((record) => instantsOf(record, intervals));
  const offsetMs = random.pick([-0.5, 0, 0.5]) * fenceMs(intervals) + random.between(0, 200);
  const ahead = instants.map((instant) => instant - EPOCH_MS + offsetMs - timeline.nowMs()).filter((ms) => ms > 0);
  return ahead.length === 0 ? 0 : random.pick(ahead);
}

/** When something becomes possible or impossible for a record, in ms since the epoch. */
function instantsOf(record: NamespaceRecord, intervals: Intervals): number[] {
  const { state, slots, expiresMs, nextRotationMs, recheckAtMs, deletedAtMs } = record;
  if (state === 'deleted')
    return [nameReusableMs(deletedAtMs ?? 0, intervals), (deletedAtMs ?? 0) + settlementMs(intervals)];
  if (state === 'expiring') return [];
  return [
    nextRotationMs,
    ...slots.flatMap(({ promisedUntilMs }) => [promisedUntilMs, promisedUntilMs + settlementMs(intervals)]),
    expiresMs,
    deletionStartsMs(expiresMs, intervals),
    ...(recheckAtMs === null ? [] : [recheckAtMs, recheckAtMs]),
  ];
}
