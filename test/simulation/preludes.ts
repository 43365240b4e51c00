import { EPOCH_MS } from './machine.ts';
import { JOBS } from './jobs.ts';
import type { Play } from './play.ts';
import { claim } from './requests.ts';
import { NAMESPACES } from './world.ts';

/**
 * Half of the agents get another agent secret, and drop the previous one too early. Then one agent can hand out the
 * active account, and the other one cannot; that one may write the next generation, and the first one cannot.
 */
export async function rollHalfway(play: Play): Promise<void> {
  const { world, hosts } = play;
  const { timeline, store, random } = world;
  const [old, young] = hosts;
  if (old === undefined || young === undefined) return;
  const [namespace] = NAMESPACES;
  const passMs = async (ms: number): Promise<void> => await timeline.advanceTo(timeline.nowMs() + ms);
  play.withAgent(old.agent, claim, namespace);
  young.secretIndex = 1;
  play.restart(young);
  await passMs(500);
  for (let rotation = random.pick([1, 1, 2]); rotation > 0; rotation -= 1) {
    const record = store.records.get(namespace);
    if (record === undefined) return;
    await timeline.advanceTo(Math.max(record.nextRotationMs - EPOCH_MS + 10_000, timeline.nowMs()));
    play.withAgent(young.agent, JOBS.rotate, namespace);
    await passMs(500);
    play.withAgent(old.agent, claim, namespace);
    await passMs(random.between(0, 500));
  }
  young.hasPreviousSecrets = false;
  play.restart(young);
  await passMs(100);
}
