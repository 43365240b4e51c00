import { deletionStartsMs, fenceMs, reusableMs, settleMs } from '../../src/namespaces/timing.ts';
import { EPOCH_MS } from './machine.ts';
import type { World } from './world.ts';

/** The time until one of the instants that rules of time are made of, as seen by the fastest clock or by the slowest. */
export function untilInstant(world: World, namespace?: string): number {
  const { random, intervals, store, timeline } = world;
  const fence = fenceMs(intervals);
  const instants = [...store.records.values()]
    .filter((record) => namespace === undefined || record.namespace === namespace)
    .flatMap((record) => [
      record.nextRotationMs,
      ...record.slots.flatMap(({ promisedUntilMs }) => [promisedUntilMs, promisedUntilMs + settleMs(intervals)]),
      deletionStartsMs(record.expiresMs, intervals),
      record.expiresMs,
      record.recheckMs ?? 0,
      record.goneMs === null ? 0 : reusableMs(record.goneMs, intervals),
    ]);
  const offMs = random.pick([-0.5, 0, 0.5]) * fence + random.between(0, 200);
  const ahead = instants.map((instant) => instant - EPOCH_MS + offMs - timeline.nowMs()).filter((ms) => ms > 0);
  return ahead.length === 0 ? 0 : random.pick(ahead);
}
