import { deletionStartsMs, fenceMs } from '../../src/namespaces/timing.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { untilInstant } from './instants.ts';
import { JOBS } from './jobs.ts';
import { EPOCH_MS } from './machine.ts';
import type { Play } from './play.ts';
import { claim, connect, release, revoke } from './requests.ts';
import { changeAccountByHand } from './mishaps.ts';

const RACERS = { ...JOBS, claim, release, revoke };

const WEIGHTS: Readonly<Record<keyof typeof RACERS, number>> = {
  rotate: 3,
  expire: 4,
  announce: 0,
  repair: 6,
  reconcile: 2,
  checkSecrets: 2,
  finish: 1,
  prune: 0,
  claim: 3,
  release: 2,
  revoke: 2,
};

/**
 * Two agents work on one namespace around an instant at which something becomes possible or impossible. One is slow, so
 * that its writes may arrive after those of the other.
 */
export async function race(play: Play): Promise<void> {
  const { world, hosts } = play;
  const { random, timeline, intervals, store } = world;
  const serving = hosts.filter(({ agent, isServing }) => isServing && !agent.machine.isDead).map(({ agent }) => agent);
  if (serving.length === 0) return;
  const slow = random.pick(serving);
  const other = random.pick(serving.length > 1 ? serving.filter((agent) => agent !== slow) : serving);
  const namespace = play.namespace();
  const first = random.weighted(WEIGHTS);
  const second = random.chance(0.4) ? first : random.weighted(WEIGHTS);
  const fence = fenceMs(intervals);
  const untilDeletion = ({ expiresMs }: NamespaceRecord): number =>
    Math.max(0, deletionStartsMs(expiresMs, intervals) - EPOCH_MS + fence / 2 - timeline.nowMs()) +
    random.between(0, 100);
  const passMs = async (ms: number): Promise<void> => await timeline.advanceTo(timeline.nowMs() + ms);

  world.log(() => `a race: slow ${slow.machine.name} ${first}, ${other.machine.name} ${second}`);
  if (random.chance(0.4)) play.withAgent(slow, changeAccountByHand, namespace);
  const record = store.records.get(namespace);
  const isDeletion = first === 'expire' && record !== undefined && record.state !== 'deleted';
  const instantMs = isDeletion ? untilDeletion(record) : untilInstant(world, namespace);
  const leadMs = isDeletion ? 0 : Math.min(instantMs, random.between(0, 1) * fence);
  await passMs(instantMs - leadMs);
  if (random.chance(0.5)) slow.machine.isSlow = true;
  else {
    const steps = 1 + Math.floor(random.between(0, random.pick([7, 14, 28])));
    slow.machine.arm({ kind: 'stall', ms: random.between(0.5, 7) * fence, isSuspended: random.chance(0.3) }, steps);
  }
  play.withAgent(slow, RACERS[first], namespace);
  await passMs(random.chance(0.5) ? random.between(0, 30) : leadMs + random.between(0, 200));
  if (random.chance(0.3)) connect(play);
  play.withAgent(other, RACERS[second], namespace);
  await passMs(random.between(20, 1_000));
  play.withAgent(other, claim, namespace);
  for (let rounds = random.pick([0, 1, 2]); rounds > 0; rounds -= 1) {
    await passMs(untilInstant(world, namespace));
    play.withAgent(other, random.pick([JOBS.rotate, JOBS.expire, claim]), namespace);
    await passMs(random.between(5, 1_000));
    if (random.chance(0.3)) connect(play);
    play.withAgent(other, claim, namespace);
  }
  slow.machine.isSlow = false;
}
