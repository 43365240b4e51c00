import { activeSlot } from '../../src/namespaces/slots.ts';
import { deletionStartsMs, fenceMs } from '../../src/namespaces/timing.ts';
import type { Slot } from '../../src/store/namespace-record.ts';
import { untilInstant } from './instants.ts';
import { JOBS } from './jobs.ts';
import { EPOCH_MS } from './machine.ts';
import type { Play } from './play.ts';
import { claim, declare, release } from './requests.ts';
import { NAMESPACES } from './world.ts';

/** Longer than the agent that serves a release may take before another one continues it. */
const TAKEN_UP_MS = 1_500;

/**
 * A slow agent repairs the standby account, which was changed by hand, at the very end of its promise, while another agent
 * rotates into it as early as possible and hands it out.
 */
export async function raceForStandby(play: Play): Promise<void> {
  const { world, posts } = play;
  const { random, timeline, intervals, store, broker, invariants } = world;
  const [slow, other] = posts.map(({ agent }) => agent);
  const [namespace] = NAMESPACES;
  const record = store.records.get(namespace);
  if (slow === undefined || other === undefined || record?.state !== 'active') return;
  const slot = activeSlot(record) === 1 ? 2 : 1;
  const { promisedUntilMs } = record.slots[slot - 1] as Slot;
  const fence = fenceMs(intervals);
  const passTo = async (ms: number): Promise<void> => await timeline.advanceTo(Math.max(ms, timeline.nowMs()));

  const account = `${namespace}-${slot}`;
  const leftMs = promisedUntilMs - EPOCH_MS;
  await passTo(leftMs - random.between(0.4, 1.5) * fence);
  world.note(() => `an operator deletes ${account}, and agents race to repair it`);
  invariants.changedByOutsider(account);
  broker.deleteUser(account);
  slow.machine.isSlow = true;
  play.by(slow, JOBS.repair, namespace);
  const settledMs = leftMs + random.pick([0, 1, 2, 3]) * fence;
  await passTo(settledMs + random.pick([-0.5, 0, 0.5]) * fence + random.between(0, 300));
  play.by(other, JOBS.rotate, namespace);
  await passTo(timeline.nowMs() + random.between(5, 500));
  play.by(other, claim, namespace);
  await passTo(timeline.nowMs() + 2 * fence);
  slow.machine.isSlow = false;
}

/**
 * An agent is stopped during a deletion; another one finishes it, and the owner claims again, connects and declares before
 * the first one continues.
 */
export async function raceToEnd(play: Play): Promise<void> {
  const { world, posts } = play;
  const { random, timeline, intervals, store } = world;
  const serving = posts.filter(({ agent, isServing }) => isServing && !agent.machine.isDead).map(({ agent }) => agent);
  const [first, second] = random.chance(0.5) ? serving : serving.toReversed();
  const namespace = play.namespace();
  const record = store.records.get(namespace);
  if (first === undefined || second === undefined || record?.state !== 'active') return;
  const fence = fenceMs(intervals);
  const passMs = async (ms: number): Promise<void> => await timeline.advanceTo(timeline.nowMs() + ms);

  const isReleased = random.chance(0.5);
  world.note(() => `${first.machine.name} is stopped while it ends ${namespace}`);
  if (!isReleased) {
    await passMs(Math.max(0, deletionStartsMs(record.expiresMs, intervals) - EPOCH_MS + fence / 2 - timeline.nowMs()));
  }
  if (random.chance(0.3)) first.machine.isSlow = true;
  // About where its deletes start.
  const steps = 9 + Math.floor(random.between(0, 9));
  const ms = random.between(3, 8) * fence;
  first.machine.arm({ kind: 'stall', ms, isSuspended: random.chance(0.3) }, steps);
  play.by(first, isReleased ? release : JOBS.expire, namespace);
  const resumesMs = timeline.nowMs() + ms;
  for (const again of [TAKEN_UP_MS, TAKEN_UP_MS]) {
    await passMs(again + random.between(0, 50));
    play.by(second, JOBS.expire, namespace);
  }
  await passMs(TAKEN_UP_MS);
  await passMs(untilInstant(world, namespace));
  play.by(second, claim, namespace);
  await passMs(random.between(5, 100));
  for (let things = 0; things < 3; things += 1) declare(play);
  await timeline.advanceTo(Math.max(resumesMs, timeline.nowMs()) + random.between(0, 2_000));
  first.machine.isSlow = false;
}
