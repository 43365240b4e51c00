import type { Play } from './play.ts';
import type { SimulatedAgent } from './simulated-agent.ts';

/** The agents' jobs. Any agent may run each at any moment, also concurrently. */
export const JOBS = {
  rotate: job('rotate', (agent) => agent.rotation.sweep(agent.signal)),
  expire: job('expire', (agent) => agent.expiry.sweep(agent.signal)),
  announce: job('announce', (agent) => agent.expiry.announce(agent.signal)),
  repair: job('repair', (agent, namespace) => agent.repair(namespace, agent.signal)),
  reconcile: job('reconcile', (agent) => agent.reconcile(agent.signal)),
  checkSecrets: job('check-secrets', (agent) => agent.rotation.checkSecrets(agent.signal)),
  finish: job('finish', (agent, namespace) => agent.revoker.finish(namespace, agent.signal)),
  prune: job('prune', (agent) => agent.prune()),
};

const WEIGHTS: Readonly<Record<keyof typeof JOBS, number>> = {
  rotate: 10,
  expire: 8,
  announce: 1,
  repair: 7,
  reconcile: 4,
  checkSecrets: 1,
  finish: 2,
  prune: 1,
};

/** Runs a random job on a random agent. */
export function runJob(play: Play): void {
  JOBS[play.world.random.weighted(WEIGHTS)](play);
}

function job(name: string, run: (agent: SimulatedAgent, namespace: string) => Promise<unknown>): (play: Play) => void {
  return ({ world, servingAgent, namespace: choose }) => {
    const agent = servingAgent();
    if (agent === undefined) return;
    const namespace = choose();
    world.attempt(agent, `${name} (${namespace})`, () => run(agent, namespace));
  };
}
