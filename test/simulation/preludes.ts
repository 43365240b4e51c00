import { EPOCH_MS } from './machine.ts';
import { JOBS } from './jobs.ts';
import type { Play } from './play.ts';
import { claim } from './requests.ts';
import { NAMESPACES } from './world.ts';

/**
 * Half of the agents get the new secret and drop the former one too early: one agent can hand out the active account, which
 * the other cannot, and may write the next generation, which the first cannot.
 */
export async function rollHalfway(play: Play): Promise<void> {
  const { world, posts } = play;
  const { timeline, store, random } = world;
  const [old, young] = posts;
  if (old === undefined || young === undefined) return;
  const [namespace] = NAMESPACES;
  const passMs = async (ms: number): Promise<void> => await timeline.advanceTo(timeline.nowMs() + ms);
  play.by(old.agent, claim, namespace);
  young.secret = 1;
  play.restart(young);
  await passMs(500);
  for (let rotation = random.pick([1, 1, 2]); rotation > 0; rotation -= 1) {
    const record = store.records.get(namespace);
    if (record === undefined) return;
    await timeline.advanceTo(Math.max(record.nextRotationMs - EPOCH_MS + 10_000, timeline.nowMs()));
    play.by(young.agent, JOBS.rotate, namespace);
    await passMs(500);
    play.by(old.agent, claim, namespace);
    await passMs(random.between(0, 500));
  }
  young.hasFormer = false;
  play.restart(young);
  await passMs(100);
}
