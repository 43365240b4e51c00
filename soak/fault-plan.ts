import { createRandom, type Random } from '../test/simulation/random.ts';

/** One fault of a run. `atMs` counts from the beginning of the faults. */
export type Fault = { readonly atMs: number } & FaultKind;

/** What happens. `forMs` is how long it lasts; `agent` and `node` are indices. */
export type FaultKind =
  | { readonly kind: 'agent-kill' | 'agent-restart' | 'agent-pause'; readonly agent: number; readonly forMs: number }
  | { readonly kind: 'node-kill' | 'node-restart'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'rolling-restart' }
  | { readonly kind: 'alarm'; readonly node: number; readonly forMs: number }
  | {
      readonly kind: 'management-cut' | 'management-stall' | 'store-cut';
      /** Undefined: all of them. */
      readonly agent: number | undefined;
      readonly forMs: number;
    }
  | {
      readonly kind: 'store-late' | 'management-late';
      readonly agent: number | undefined;
      /** In each direction: an answer comes twice as late. */
      readonly lateMs: number;
      readonly forMs: number;
    };

/** What can be broken at the same time: a lane has one fault after the other. */
export type Lane = readonly Fault[];

/** The size of what is broken. */
export interface PlanInput {
  readonly seed: number;
  readonly minutes: number;
  readonly agents: number;
  readonly nodes: number;
}

/** The mean time between two faults of a lane, in ms. A node takes half a minute to start on two cores. */
const AGENT_EVERY_MS = 45_000;
const NODE_EVERY_MS = 60_000;
const ALARM_EVERY_MS = 90_000;
const MANAGEMENT_EVERY_MS = 40_000;
const STORE_EVERY_MS = 40_000;

/** Nothing begins in the last seconds: what is broken then would be healed before it has an effect. */
const QUIET_END_MS = 5_000;

/**
 * The faults of a run, as a function of its seed only. Faults of different lanes overlap as it happens; in the lane of the
 * nodes at most one node is down, because a quorum of three outlives one.
 */
export function planFaults({ seed, minutes, agents, nodes }: PlanInput): Lane[] {
  const endMs = minutes * 60_000 - QUIET_END_MS;
  const lane = (number: number, everyMs: number, draw: (random: Random) => FaultKind): Lane => {
    // A generator of its own for each lane: another lane does not change it.
    const random = createRandom(seed + number * 7919);
    const faults: Fault[] = [];
    for (let atMs = everyMs * random.between(0.1, 0.6); atMs < endMs; atMs += everyMs * random.between(0.4, 1.6)) {
      faults.push({ atMs: Math.round(atMs), ...draw(random) });
    }
    return faults;
  };
  const oneOrAll = (random: Random): number | undefined =>
    random.chance(0.25) ? undefined : Math.floor(random.between(0, agents));
  return [
    ...Array.from({ length: agents }, (_, agent) =>
      lane(1 + agent, AGENT_EVERY_MS, (random) => agentFault(agent, random)),
    ),
    lane(101, NODE_EVERY_MS, (random) => nodeFault(nodes, random)),
    lane(102, ALARM_EVERY_MS, (random) => ({
      kind: 'alarm',
      node: Math.floor(random.between(0, nodes)),
      forMs: ms(random, 2_000, 15_000),
    })),
    lane(103, MANAGEMENT_EVERY_MS, (random) => {
      const kind = random.weighted({ 'management-cut': 3, 'management-stall': 2, 'management-late': 3 });
      const about = { agent: oneOrAll(random), forMs: ms(random, 3_000, 30_000) };
      return kind === 'management-late' ? { kind, ...about, lateMs: ms(random, 20, 600) } : { kind, ...about };
    }),
    lane(104, STORE_EVERY_MS, (random) => {
      const kind = random.weighted({ 'store-late': 4, 'store-cut': 1 });
      const agent = oneOrAll(random);
      if (kind === 'store-cut') return { kind, agent, forMs: ms(random, 2_000, 12_000) };
      return { kind, agent, lateMs: ms(random, 10, 500), forMs: ms(random, 5_000, 25_000) };
    }),
  ];
}

function agentFault(agent: number, random: Random): FaultKind {
  const kind = random.weighted({ 'agent-kill': 3, 'agent-pause': 4, 'agent-restart': 2 });
  if (kind !== 'agent-pause') return { kind, agent, forMs: ms(random, 0, 8_000) };
  // Shorter than a write window, about as long, and longer than all the safety times together.
  const [from, to] = random.pick([
    [500, 6_000],
    [6_000, 18_000],
    [20_000, 45_000],
  ] as const);
  return { kind, agent, forMs: ms(random, from, to) };
}

function nodeFault(nodes: number, random: Random): FaultKind {
  const node = Math.floor(random.between(0, nodes));
  // A single node that is killed may lose what it has confirmed (3.10), which no agent can heal in time.
  if (nodes === 1) return { kind: 'node-restart', node, forMs: ms(random, 0, 5_000) };
  const kind = random.weighted({ 'node-kill': 4, 'node-restart': 1, 'rolling-restart': 1 });
  return kind === 'rolling-restart' ? { kind } : { kind, node, forMs: ms(random, 0, 15_000) };
}

function ms(random: Random, from: number, to: number): number {
  return Math.round(random.between(from, to));
}

/** A fault in one line, for the journal. */
export function describeFault(fault: FaultKind): string {
  const { kind, agent, node, lateMs, forMs, ...rest } = fault as Partial<Record<string, number>> & { kind: string };
  delete rest['atMs'];
  const about = agent !== undefined ? ` of agent ${agent + 1}` : node !== undefined ? ` of node ${node + 1}` : '';
  const isShared = agent === undefined && /^(?:management|store)-/.test(kind);
  const late = lateMs === undefined ? '' : ` by ${lateMs} ms`;
  const length = forMs === undefined ? '' : ` for ${(forMs / 1000).toFixed(1)} s`;
  return `${kind}${isShared ? ' of all agents' : about}${late}${length}`;
}
