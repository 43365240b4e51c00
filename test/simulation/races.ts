import { fenceMs } from '../../src/namespaces/timing.ts';
import { untilInstant } from './instants.ts';
import { JOBS } from './jobs.ts';
import type { Play } from './play.ts';
import { claim, release, revoke } from './requests.ts';
import { meddle } from './troubles.ts';

const RACERS = { ...JOBS, claim, release, revoke };

const WEIGHTS: Readonly<Record<keyof typeof RACERS, number>> = {
  rotate: 3,
  expire: 4,
  tell: 0,
  repair: 6,
  reconcile: 2,
  checkKeys: 2,
  finish: 1,
  prune: 0,
  claim: 3,
  release: 2,
  revoke: 2,
};

/** How often a call of the slow one is late, waits or is lost. */
const SLOW = 0.7;

/**
 * Two agents do something about one namespace around an instant at which something becomes possible, or ceases to be: one
 * is slow, so that what it sends may arrive after what the other does.
 */
export async function race(play: Play): Promise<void> {
  const { world, posts } = play;
  const { random, timeline, intervals } = world;
  const serving = posts.filter(({ agent, isServing }) => isServing && !agent.machine.isDead).map(({ agent }) => agent);
  if (serving.length === 0) return;
  const slow = random.pick(serving);
  const other = random.pick(serving.length > 1 ? serving.filter((agent) => agent !== slow) : serving);
  const namespace = play.namespace();
  const first = random.weighted(WEIGHTS);
  const second = random.chance(0.4) ? first : random.weighted(WEIGHTS);
  const fence = fenceMs(intervals);
  const passMs = async (ms: number): Promise<void> => await timeline.advanceTo(timeline.nowMs() + ms);

  world.say(() => `a race: slow ${slow.machine.name} ${first}, ${other.machine.name} ${second}`);
  if (random.chance(0.5)) play.by(slow, meddle, namespace);
  const instantMs = untilInstant(world, namespace);
  const leadMs = Math.min(instantMs, random.between(0, 1) * fence);
  await passMs(instantMs - leadMs);
  slow.machine.trouble = SLOW;
  play.by(slow, RACERS[first], namespace);
  await passMs(random.chance(0.5) ? random.between(0, 30) : leadMs + random.between(0, 200));
  play.by(other, RACERS[second], namespace);
  await passMs(random.between(20, 1_000));
  play.by(other, claim, namespace);
  if (random.chance(0.5)) {
    await passMs(untilInstant(world, namespace));
    play.by(other, random.chance(0.5) ? JOBS.rotate : claim, namespace);
    await passMs(random.between(5, 100));
    play.by(other, claim, namespace);
  }
  slow.machine.trouble = undefined;
}
