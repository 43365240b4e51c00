import { fenceMs, settlementMs } from '../../src/namespaces/timing.ts';
import { untilInstant } from './instants.ts';
import { JOBS, runJob } from './jobs.ts';
import { type Play, startPlay } from './play.ts';
import { rollHalfway } from './preludes.ts';
import { race } from './races.ts';
import { raceForStandby, raceToDelete } from './directed-races.ts';
import { claim, connect, declare, release, revoke } from './requests.ts';
import { SECRETS } from './simulated-agent.ts';
import { changeAccountByHand, armMishap, restart, rollSecret, setClock, splitOrHeal } from './mishaps.ts';
import { createWorld, REST_STEP_MS, Violation } from './world.ts';

/** The result of a history. */
export interface Outcome {
  readonly seed: number;
  /** The invariant that was violated. */
  readonly violation?: string;
  /** What happened, in order; empty unless the history is traced. */
  readonly trace: readonly string[];
}

const ACTIONS = {
  claim,
  connect,
  declare,
  release,
  revoke,
  changeAccountByHand: changeAccountByHand,
  restart,
  rollSecret,
  runJob,
  setClock,
  splitOrHeal,
  race,
  raceToDelete: raceToDelete,
  mishap: (play: Play) => armMishap(play, [claim, release, revoke, JOBS.repair, JOBS.repair, runJob, runJob, runJob]),
};

/** How often each action is chosen. */
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
  splitOrHeal: 0,
  changeAccountByHand: 6,
  rollSecret: 2,
  race: 10,
  raceToDelete: 3,
};

/** The same where RabbitMQ is a cluster. */
const CLUSTER_WEIGHTS = { ...WEIGHTS, splitOrHeal: 6 };

const MIN_ACTIONS = 8;
const MAX_ACTIONS = 24;

/** Plays the history of a seed: always the same one. */
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
    const actions = random.between(MIN_ACTIONS, MAX_ACTIONS);
    for (let action = 0; action < actions; action += 1) {
      await ACTIONS[random.weighted(world.isCluster ? CLUSTER_WEIGHTS : WEIGHTS)](play);
      await timeline.advanceTo(timeline.nowMs() + choosePause(play));
    }
    await settle(play);
    world.invariants.checkAtRest();
    await timeline.advanceTo(timeline.nowMs());
    return { seed, trace };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { seed, violation: error.message, trace };
  }
}

/** The time until the next action. Often it is at an instant at which something becomes possible or impossible. */
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

/** Stops all faults, and runs the jobs until everything is done. */
async function settle(play: Play): Promise<void> {
  const { world, hosts } = play;
  const { timeline, intervals, random } = world;
  world.log(() => 'from now on there are no faults');
  world.faultRate = 0;
  world.broker.heal();
  for (const { agent } of hosts) agent.machine.crash();
  const [host] = hosts;
  if (host === undefined) return;
  Object.assign(host, { secretIndex: SECRETS.length - 1, hasPreviousSecrets: true });
  play.restart(host);
  // Everything that is under way ends, suspended processes included.
  await timeline.advanceTo(timeline.nowMs() + 3 * settlementMs(intervals));
  const isUntilExpiry = random.chance(0.5);
  // A revocation that is redelivered late gets a recheck 3F later.
  for (let round = 0; round < 4 || (round < 8 && world.invariants.hasUnfinishedRevocation()); round += 1) {
    for (const work of ['reconcile', 'expire', 'rotate'] as const) {
      const agent = play.servingAgent();
      if (agent === undefined) continue;
      world.attempt(agent, work, async () => {
        if (work === 'reconcile') await agent.reconcile(agent.signal);
        else if (work === 'expire') await agent.expiry.sweep(agent.signal);
        else await agent.rotation.sweep(agent.signal);
      });
      await timeline.advanceTo(timeline.nowMs() + REST_STEP_MS);
    }
    const pauseMs = isUntilExpiry && round === 1 ? intervals.maxLifetimeMs : settlementMs(intervals);
    await timeline.advanceTo(timeline.nowMs() + pauseMs);
  }
}
