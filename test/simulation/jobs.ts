import type { Play } from './play.ts';
import type { SimulatedAgent } from './simulated-agent.ts';

/** The jobs of the agents; any agent may run any job at any time, several of them concurrently. */
export const JOBS = {
  rotate: job('rotate', (agent) => agent.rotation.sweep(agent.signal)),
  expire: job('expire', (agent) => agent.expiry.sweep(agent.signal)),
  announce: job('announce', (agent) => agent.expiry.announce(agent.signal)),
  repair: job('repair', (agent, namespace) => agent.repair(namespace, agent.signal)),
  reconcile: job('reconcile', (agent) => agent.reconcile(agent.signal)),
  checkKeys: job('check-keys', (agent) => agent.rotation.checkSecrets(agent.signal)),
  finish: job('finish', (agent, namespace) => agent.revoker.finish(namespace, agent.signal)),
  prune: job('prune', (agent) => agent.prune()),
};

const WEIGHTS: Readonly<Record<keyof typeof JOBS, number>> = {
  rotate: 10,
  expire: 8,
  announce: 1,
  repair: 7,
  reconcile: 4,
  checkKeys: 1,
  finish: 2,
  prune: 1,
};

/** Runs a job on any agent. */
export function runJob(play: Play): void {
  JOBS[play.world.random.weighted(WEIGHTS)](play);
}

function job(name: string, run: (agent: SimulatedAgent, namespace: string) => Promise<unknown>): (play: Play) => void {
  return ({ world, anyAgent, namespace: choose }) => {
    const agent = anyAgent();
    if (agent === undefined) return;
    const namespace = choose();
    world.attempt(agent, `${name} (${namespace})`, () => run(agent, namespace));
  };
}
