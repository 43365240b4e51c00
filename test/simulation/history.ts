import { fenceMs, settlementMs } from '../../src/namespaces/timing.ts';
import { untilInstant } from './instants.ts';
import { JOBS, runJob } from './jobs.ts';
import { type Play, startPlay } from './play.ts';
import { rollHalfway } from './preludes.ts';
import { race } from './races.ts';
import { raceForStandby, raceToEnd } from './directed-races.ts';
import { claim, connect, declare, release, revoke } from './requests.ts';
import { SECRETS } from './simulated-agent.ts';
import { meddle, mishap, restart, rollSecret, setClock } from './troubles.ts';
import { createWorld, REST_STEP_MS, Violation } from './world.ts';

/** The outcome of a history. */
export interface Outcome {
  readonly seed: number;
  /** The violated promise. */
  readonly violation?: string;
  /** What happened, in order; empty without a trace. */
  readonly trace: readonly string[];
}

const ACTIONS = {
  claim,
  connect,
  declare,
  release,
  revoke,
  meddle,
  restart,
  rollSecret,
  runJob,
  setClock,
  race,
  raceToEnd,
  mishap: (play: Play) => mishap(play, [claim, release, revoke, JOBS.repair, JOBS.repair, runJob, runJob, runJob]),
};

/** The weights of what happens. */
const WEIGHTS: Readonly<Record<keyof typeof ACTIONS, number>> = {
  claim: 22,
  runJob: 34,
  connect: 7,
  declare: 4,
  release: 4,
  revoke: 4,
  mishap: 14,
  restart: 3,
  setClock: 2,
  meddle: 6,
  rollSecret: 2,
  race: 10,
  raceToEnd: 3,
};

const FEWEST_ACTIONS = 8;
const MOST_ACTIONS = 24;

/** Plays the history of a seed; the same seed gives the same history. */
export async function playHistory(seed: number, { traced = false } = {}): Promise<Outcome> {
  const trace: string[] = [];
  const world = createWorld(seed, traced ? trace : undefined);
  const { random, timeline } = world;
  try {
    const play = startPlay(world, random.pick([1, 2, 2, 2, 3]));
    await timeline.advanceTo(100);
    if (random.chance(0.25)) {
      await rollHalfway(play);
      if (random.chance(0.6)) await raceForStandby(play);
    }
    const actions = random.between(FEWEST_ACTIONS, MOST_ACTIONS);
    for (let action = 0; action < actions; action += 1) {
      await ACTIONS[random.weighted(WEIGHTS)](play);
      await timeline.advanceTo(timeline.nowMs() + choosePause(play));
    }
    await comeToRest(play);
    world.invariants.quiet();
    await timeline.advanceTo(timeline.nowMs());
    return { seed, trace };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { seed, violation: error.message, trace };
  }
}

/** How long until the next thing happens; often at an instant at which something becomes possible or impossible. */
function choosePause(play: Play): number {
  const { random, intervals } = play.world;
  const fence = fenceMs(intervals);
  switch (random.weighted({ together: 30, soon: 18, window: 14, interval: 6, instant: 24 })) {
    case 'together':
      return random.between(0, 5);
    case 'soon':
      return random.between(0, 1_000);
    case 'window':
      return random.between(0, 2.5 * fence);
    case 'interval':
      return random.between(0, 1.3 * intervals.rotationMs);
    case 'instant':
      return untilInstant(play.world);
  }
}

/** Lets the jobs run without further faults until everything is done. */
async function comeToRest(play: Play): Promise<void> {
  const { world, posts } = play;
  const { timeline, intervals, random } = world;
  world.note(() => 'from now on nothing goes wrong');
  world.trouble = 0;
  for (const { agent } of posts) agent.machine.crash();
  const [post] = posts;
  if (post === undefined) return;
  Object.assign(post, { secret: SECRETS.length - 1, hasFormer: true });
  play.restart(post);
  // Work in progress finishes, also that of stopped processes.
  await timeline.advanceTo(timeline.nowMs() + 3 * settlementMs(intervals));
  const isToTheEnd = random.chance(0.5);
  // A revocation that is redelivered near the end is checked again 3F later.
  for (let round = 0; round < 4 || (round < 8 && world.invariants.isRevoking()); round += 1) {
    for (const work of ['reconcile', 'expire', 'rotate'] as const) {
      const agent = play.anyAgent();
      if (agent === undefined) continue;
      world.attempt(agent, work, async () => {
        if (work === 'reconcile') await agent.reconcile(agent.signal);
        else if (work === 'expire') await agent.expiry.sweep(agent.signal);
        else await agent.rotation.sweep(agent.signal);
      });
      await timeline.advanceTo(timeline.nowMs() + REST_STEP_MS);
    }
    const pauseMs = isToTheEnd && round === 1 ? intervals.maxLifetimeMs : settlementMs(intervals);
    await timeline.advanceTo(timeline.nowMs() + pauseMs);
  }
}
