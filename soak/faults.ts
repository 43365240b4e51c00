import { setTimeout as sleep } from 'node:timers/promises';
import type { TcpRelay } from '../dev/tcp-relay.ts';
import { createRandom } from '../test/simulation/random.ts';
import { describeFault, type Fault, type Lane } from './fault-plan.ts';
import type { Figures } from './figures.ts';
import type { Journal } from './journal.ts';
import { REQUEST_VHOST } from './settings.ts';
import type { AgentRelay, World } from './world.ts';
import { pause } from './pause.ts';

/** How long the request queue may take to have all its members again after a node has started, in ms. */
const MEMBERS_MS = 60_000;

const DEFAULT_WATERMARK = '0.4';

/** What breaks things, and what it needs. */
export interface FaultsParts {
  readonly world: World;
  readonly journal: Journal;
  readonly figures: Figures;
  readonly seed: number;
  /** By how much the clock of an agent may be off, in ms. */
  readonly clockOffMs: number;
  /** Ends the faults: what is broken then is healed. */
  readonly signal: AbortSignal;
}

/** Runs the faults of all lanes until they are over, and heals what they broke. */
export async function runFaults(lanes: readonly Lane[], parts: FaultsParts): Promise<void> {
  const startedMs = performance.now();
  const { signal, journal, figures } = parts;
  const breaker = createBreaker(parts);
  await Promise.all(
    lanes.map(async (lane) => {
      for (const fault of lane) {
        await pause(Math.max(0, fault.atMs - (performance.now() - startedMs)), signal);
        if (signal.aborted) return;
        journal.say(describeFault(fault));
        figures.count('faults');
        figures.count(`faults: ${fault.kind}`);
        await breaker(fault);
      }
    }),
  );
}

/**
 * Draws by how many ms the clock of an agent is off at its next start.
 *
 * @param offMs by how much at most
 */
export function createClocks(seed: number, offMs: number): () => number {
  const random = createRandom(seed + 17);
  // Two clocks differ by at most twice this, and the difference is within the tolerance.
  return () => (random.chance(0.25) ? 0 : random.between(-0.95, 0.95) * offMs);
}

function chosen(relays: readonly AgentRelay[], agent: number | undefined): TcpRelay[] {
  return relays.filter((each) => agent === undefined || agent === each.agent).map(({ relay }) => relay);
}

function createBreaker({ world, journal, seed, clockOffMs, signal }: FaultsParts): (fault: Fault) => Promise<void> {
  const { agents, brokers, admin, names } = world;
  const clockMs = createClocks(seed + 1, clockOffMs);
  const lasting = (ms: number): Promise<void> => pause(ms, signal);
  const broken = async (
    relays: readonly AgentRelay[],
    { agent, forMs }: { agent: number | undefined; forMs: number },
    spoil: (relay: TcpRelay) => void,
  ): Promise<void> => {
    const those = chosen(relays, agent);
    for (const relay of those) spoil(relay);
    await lasting(forMs);
    for (const relay of those) relay.restore();
  };
  const late = async (
    relays: readonly AgentRelay[],
    { agent, lateMs, forMs }: { agent: number | undefined; lateMs: number; forMs: number },
  ): Promise<void> => {
    const those = chosen(relays, agent);
    for (const relay of those) relay.delay(lateMs);
    await lasting(forMs);
    for (const relay of those) relay.delay(0);
  };
  const cycleNode = async (node: number, how: 'stop' | 'kill', downMs: number): Promise<void> => {
    await brokers.takeDown(node, how);
    journal.note(`node ${node + 1} is down`);
    await lasting(downMs);
    await brokers.bringUp(node);
    journal.say(`node ${node + 1} is up again`);
    await untilAllMembers();
  };
  /** The next node is taken down only when the queue of the requests does not depend on it. */
  const untilAllMembers = async (): Promise<void> => {
    if (brokers.nodes.length === 1) return;
    const path = `/queues/${REQUEST_VHOST}/${encodeURIComponent(names.requestQueue)}`;
    const lateMs = performance.now() + MEMBERS_MS;
    while (performance.now() < lateMs) {
      const queue = await admin
        .call<{ readonly members?: readonly string[]; readonly online?: readonly string[] }>('GET', path)
        .catch(() => undefined);
      if (queue?.online !== undefined && queue.online.length >= brokers.nodes.length) return;
      await sleep(1_000);
    }
    journal.say('the queue of the requests does not have all its members online');
  };
  const watermark = async (node: number, value: string): Promise<void> => {
    await brokers.nodes[node]?.rabbitmqctl(['set_vm_memory_high_watermark', value]);
  };

  return async (fault) => {
    switch (fault.kind) {
      case 'agent-kill':
      case 'agent-restart': {
        const agent = agents[fault.agent];
        await (fault.kind === 'agent-kill' ? agent?.kill() : agent?.stop());
        await lasting(fault.forMs);
        const offMs = clockMs();
        await agent?.start(offMs);
        journal.note(`${agent?.name} starts, its clock is off by ${Math.round(offMs)} ms`);
        return;
      }
      case 'agent-pause':
        agents[fault.agent]?.pause();
        await lasting(fault.forMs);
        agents[fault.agent]?.resume();
        journal.note(`agent ${fault.agent + 1} goes on`);
        return;
      case 'node-kill':
        return await cycleNode(fault.node, 'kill', fault.forMs);
      case 'node-restart':
        return await cycleNode(fault.node, 'stop', fault.forMs);
      case 'rolling-restart':
        for (const node of brokers.nodes.keys()) {
          if (signal.aborted) return;
          await cycleNode(node, 'stop', 0);
        }
        return;
      case 'alarm': {
        if (!brokers.isUp(fault.node)) return journal.note('no alarm: its node is down');
        try {
          await watermark(fault.node, '0.00001');
          await lasting(fault.forMs);
        } catch {
          return journal.note('no alarm: its node went down');
        }
        // A node that has started again meanwhile has the default already.
        await watermark(fault.node, DEFAULT_WATERMARK).catch(() => journal.note('the node of the alarm is down'));
        return;
      }
      case 'management-cut':
        return await broken(world.managementRelays, fault, (relay) => relay.cut());
      case 'management-stall':
        return await broken(world.managementRelays, fault, (relay) => relay.stall());
      case 'store-cut':
        return await broken(world.storeRelays, fault, (relay) => relay.cut());
      case 'management-late':
        return await late(world.managementRelays, fault);
      case 'store-late':
        return await late(world.storeRelays, fault);
    }
  };
}
