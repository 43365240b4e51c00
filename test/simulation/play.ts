import type { Secret } from '../../src/util/secret.ts';
import { SECRETS, type SimulatedAgent } from './simulated-agent.ts';
import { NAMESPACES, type World } from './world.ts';

/** Where an agent runs. When its process has died, another one is started there. */
export interface Host {
  readonly name: string;
  starts: number;
  agent: SimulatedAgent;
  /** The secret that it uses, and whether it still has the previous ones. */
  secretIndex: number;
  hasPreviousSecrets: boolean;
  isServing: boolean;
}

/** A history in progress. */
export interface Play {
  readonly world: World;
  readonly hosts: readonly Host[];
  /** A random serving agent; undefined: none serves. */
  readonly servingAgent: () => SimulatedAgent | undefined;
  /** Makes this agent do what `work` begins, for this namespace if one is given. */
  readonly withAgent: (agent: SimulatedAgent, work: (play: Play) => void, namespace?: string) => void;
  /** One of the namespaces, mostly the first. */
  readonly namespace: () => string;
  /** Kills the process of a host, if it lives, and starts another one. */
  restart(host: Host): void;
}

/** Starts this many agents. */
export function startPlay(world: World, size: number): Play {
  const start = (host: Pick<Host, 'name' | 'starts' | 'secretIndex' | 'hasPreviousSecrets'>): SimulatedAgent => {
    const secrets: readonly Secret[] = SECRETS.slice(
      host.hasPreviousSecrets ? 0 : host.secretIndex,
      host.secretIndex + 1,
    );
    return world.startAgent(`${host.name}.${host.starts}`, secrets);
  };
  /** As a real agent: it reconciles first, and serves then, also when that failed. */
  const begin = (host: Host): void => {
    const { agent } = host;
    const serve = (): void => {
      host.isServing = true;
      world.attempt(agent, 'check-secrets', () => agent.rotation.checkSecrets(agent.signal));
    };
    world.attempt(agent, 'its first reconciliation', () =>
      agent.reconcile(agent.signal).then(serve, (error: unknown) => {
        serve();
        throw error;
      }),
    );
  };
  const hosts = Array.from({ length: size }, (_, index): Host => {
    const host = { name: 'ABC'.charAt(index), starts: 1, secretIndex: 0, hasPreviousSecrets: true };
    return { ...host, agent: start(host), isServing: false };
  });
  for (const host of hosts) begin(host);
  let chosen: SimulatedAgent | undefined;
  let subject: string | undefined;
  const play: Play = {
    world,
    hosts,
    withAgent(agent, work, namespace) {
      chosen = agent;
      subject = namespace;
      work(play);
      chosen = undefined;
      subject = undefined;
    },
    namespace: () => subject ?? NAMESPACES[world.random.chance(0.75) ? 0 : 1],
    servingAgent() {
      if (chosen !== undefined) return chosen;
      const serving = hosts.filter(({ agent, isServing }) => isServing && !agent.machine.isDead);
      return serving.length === 0 ? undefined : world.random.pick(serving).agent;
    },
    restart(host) {
      host.agent.machine.crash();
      host.starts += 1;
      host.isServing = false;
      host.agent = start(host);
      begin(host);
    },
  };
  return play;
}
