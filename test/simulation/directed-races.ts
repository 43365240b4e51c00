import { slotOf, standbySlot } from '../../src/namespaces/slots.ts';
import { deletionStartsMs, fenceMs } from '../../src/namespaces/timing.ts';
import { untilInstant } from './instants.ts';
import { JOBS } from './jobs.ts';
import { EPOCH_MS } from './machine.ts';
import type { Play } from './play.ts';
import { claim, declare, release } from './requests.ts';
import { NAMESPACES } from './world.ts';

/** Longer than other agents leave a release to the agent that serves it. */
const TAKEOVER_MS = 1_500;

/**
 * A slow agent repairs a deleted standby account at the very end of its promise, while another agent rotates into it as
 * soon as possible, and hands it out.
 */
export async function raceForStandby(play: Play): Promise<void> {
  const { world, hosts } = play;
  const { random, timeline, intervals, store, broker, invariants } = world;
  const [slow, other] = hosts.map(({ agent }) => agent);
  const [namespace] = NAMESPACES;
  const record = store.records.get(namespace);
  if (slow === undefined || other === undefined || record?.state !== 'active') return;
  const slot = standbySlot(record);
  const { promisedUntilMs } = slotOf(record, slot);
  const fence = fenceMs(intervals);
  const passTo = async (ms: number): Promise<void> => await timeline.advanceTo(Math.max(ms, timeline.nowMs()));

  const account = `${namespace}-${slot}`;
  const leftMs = promisedUntilMs - EPOCH_MS;
  await passTo(leftMs - random.between(0.4, 1.5) * fence);
  world.log(() => `${account} is deleted by hand, and two agents race for it`);
  invariants.accountChangedByHand(account);
  broker.deleteUser(account);
  slow.machine.isSlow = true;
  play.withAgent(slow, JOBS.repair, namespace);
  const settledMs = leftMs + random.pick([0, 1, 2, 3]) * fence;
  await passTo(settledMs + random.pick([-0.5, 0, 0.5]) * fence + random.between(0, 300));
  play.withAgent(other, JOBS.rotate, namespace);
  await passTo(timeline.nowMs() + random.between(5, 500));
  play.withAgent(other, claim, namespace);
  await passTo(timeline.nowMs() + 2 * fence);
  slow.machine.isSlow = false;
}

/**
 * An agent is suspended in the middle of a deletion. Another one finishes it, and the owner claims again, connects and
 * declares before the first one continues.
 */
export async function raceToDelete(play: Play): Promise<void> {
  const { world, hosts } = play;
  const { random, timeline, intervals, store } = world;
  const serving = hosts.filter(({ agent, isServing }) => isServing && !agent.machine.isDead).map(({ agent }) => agent);
  const [first, second] = random.chance(0.5) ? serving : serving.toReversed();
  const namespace = play.namespace();
  const record = store.records.get(namespace);
  if (first === undefined || second === undefined || record?.state !== 'active') return;
  const fence = fenceMs(intervals);
  const passMs = async (ms: number): Promise<void> => await timeline.advanceTo(timeline.nowMs() + ms);

  const isReleased = random.chance(0.5);
  world.log(() => `${first.machine.name} is suspended while it deletes ${namespace}`);
  if (!isReleased) {
    await passMs(Math.max(0, deletionStartsMs(record.expiresMs, intervals) - EPOCH_MS + fence / 2 - timeline.nowMs()));
  }
  if (random.chance(0.3)) first.machine.isSlow = true;
  // About the step at which its deletes begin.
  const steps = 9 + Math.floor(random.between(0, 9));
  const ms = random.between(3, 8) * fence;
  first.machine.arm({ kind: 'stall', ms, isSuspended: random.chance(0.3) }, steps);
  play.withAgent(first, isReleased ? release : JOBS.expire, namespace);
  const resumesMs = timeline.nowMs() + ms;
  for (const takeoverMs of [TAKEOVER_MS, TAKEOVER_MS]) {
    await passMs(takeoverMs + random.between(0, 50));
    play.withAgent(second, JOBS.expire, namespace);
  }
  await passMs(TAKEOVER_MS);
  await passMs(untilInstant(world, namespace));
  play.withAgent(second, claim, namespace);
  await passMs(random.between(5, 100));
  for (let declared = 0; declared < 3; declared += 1) declare(play);
  await timeline.advanceTo(Math.max(resumesMs, timeline.nowMs()) + random.between(0, 2_000));
  first.machine.isSlow = false;
}
