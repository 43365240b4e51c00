import type { Secret } from '../../src/util/secret.ts';
import { SECRETS, type SimulatedAgent } from './simulated-agent.ts';
import { NAMESPACES, type World } from './world.ts';

/** A place where an agent runs; another process is started there after one has died. */
export interface Post {
  readonly name: string;
  starts: number;
  agent: SimulatedAgent;
  /** Its current secret, and whether it still has the previous ones. */
  secret: number;
  hasFormer: boolean;
  isServing: boolean;
}

/** The state of a history. */
export interface Play {
  readonly world: World;
  readonly posts: readonly Post[];
  /** A serving agent; undefined without one. */
  readonly anyAgent: () => SimulatedAgent | undefined;
  /** Makes this agent start `work`, about this namespace if one is given. */
  readonly by: (agent: SimulatedAgent, work: (play: Play) => void, namespace?: string) => void;
  /** A random namespace, mostly the first. */
  readonly namespace: () => string;
  /** Starts a new process at a post, in whatever state the previous one is. */
  restart(post: Post): void;
}

/** Starts this many agents. */
export function startPlay(world: World, size: number): Play {
  const start = (post: Pick<Post, 'name' | 'starts' | 'secret' | 'hasFormer'>): SimulatedAgent => {
    const secrets: readonly Secret[] = SECRETS.slice(post.hasFormer ? 0 : post.secret, post.secret + 1);
    return world.startAgent(`${post.name}.${post.starts}`, secrets);
  };
  /** Like a real agent: reconcile first, then serve, even if the reconciliation failed. */
  const begin = (post: Post): void => {
    const { agent } = post;
    const serve = (): void => {
      post.isServing = true;
      world.attempt(agent, 'check-keys', () => agent.rotation.checkSecrets(agent.signal));
    };
    world.attempt(agent, 'its first comparison', () =>
      agent.reconcile(agent.signal).then(serve, (error: unknown) => {
        serve();
        throw error;
      }),
    );
  };
  const posts = Array.from({ length: size }, (_, index): Post => {
    const post = { name: 'ABC'.charAt(index), starts: 1, secret: 0, hasFormer: true };
    return { ...post, agent: start(post), isServing: false };
  });
  for (const post of posts) begin(post);
  let chosen: SimulatedAgent | undefined;
  let subject: string | undefined;
  const play: Play = {
    world,
    posts,
    by(agent, work, namespace) {
      chosen = agent;
      subject = namespace;
      work(play);
      chosen = undefined;
      subject = undefined;
    },
    namespace: () => subject ?? NAMESPACES[world.random.chance(0.75) ? 0 : 1],
    anyAgent() {
      if (chosen !== undefined) return chosen;
      const serving = posts.filter(({ agent, isServing }) => isServing && !agent.machine.isDead);
      return serving.length === 0 ? undefined : world.random.pick(serving).agent;
    },
    restart(post) {
      post.agent.machine.crash();
      post.starts += 1;
      post.isServing = false;
      post.agent = start(post);
      begin(post);
    },
  };
  return play;
}
