import assert from 'node:assert/strict';
import { createReplicasWatch, type ReplicasWatch } from '../../src/agent/replicas-watch.ts';
import type { ClusterNode, Management } from '../../src/broker/management/management.ts';
import type { Config } from '../../src/config/config.ts';
import { contractNames } from '../../src/contract/names.ts';
import type { Reporters } from '../../src/reporters.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import { createManualClock, type ManualClock } from '../support/manual-clock.ts';
import { createManualSleep } from '../support/manual-sleep.ts';
import { partial } from '../support/partial.ts';
import { createTestLog, linesWith } from '../support/test-log.ts';

const names = contractNames('pulse-agent');
const SIGNAL = new AbortController().signal;

/** A cluster whose nodes a test sets; every node of `members` that runs is online. */
interface Scene {
  readonly watch: ReplicasWatch;
  readonly clock: ManualClock;
  readonly lines: string[];
  nodes: ClusterNode[];
  /** The members of each queue that exists. */
  readonly members: Map<string, string[]>;
  version: string;
  /** Answers the call that adds a member. */
  onAdd: (queue: string, node: string) => Promise<boolean>;
  fault: Error | undefined;
  readonly added: string[];
  readonly requested: string[];
  /** Ends the pause after a reading; resolves when the next one is done. */
  readNext(): Promise<void>;
}

function makeScene(): Scene {
  const clock = createManualClock();
  const { lines, write } = createTestLog();
  const { sleep, readNext } = createManualSleep();
  const scene = {
    clock,
    lines,
    nodes: running('a'),
    members: new Map([
      [names.requestQueue, ['a']],
      [names.deadQueue, ['a']],
    ]),
    version: '4.0.5',
    fault: undefined as Error | undefined,
    added: [] as string[],
    requested: [] as string[],
    onAdd: async (queue: string, node: string): Promise<boolean> => {
      scene.members.get(queue)?.push(node);
      return true;
    },
    readNext: () => readNext(scene.watch),
  } as Scene;
  const runs = (name: string): boolean => scene.nodes.some((node) => node.name === name && node.running);
  const watch = createReplicasWatch({
    config: partial<Config>({ id: 'pulse-agent', requestVhost: 'pulse-agent', eventVhost: '/' }),
    names,
    clock,
    sleep,
    log: createLog({ logLevel: 'trace', id: 'pulse-agent' }, { write }),
    jobs: { trigger: (job) => void scene.requested.push(job) },
    reporters: partial<Reporters>({ replicaAdded: (queue, node) => void scene.added.push(`${queue} ${node}`) }),
    management: partial<Management>({
      async getQuorumQueue(_vhost, name) {
        if (scene.fault !== undefined) throw scene.fault;
        const members = scene.members.get(name);
        if (members === undefined) return undefined;
        const online = members.filter(runs);
        const leader = online.length * 2 > members.length ? online[0] : undefined;
        return { name, members: [...members], online, leader };
      },
      listNodes: async () => scene.nodes,
      overview: async () => ({ rabbitmqVersion: scene.version }) as Awaited<ReturnType<Management['overview']>>,
      addQueueMember: (_vhost, queue, node) => scene.onAdd(queue, node),
    }),
  });
  return Object.assign(scene, { watch });
}

/** Nodes of these names that run. */
const running = (...all: string[]): ClusterNode[] => all.map((name) => ({ name, running: true, partitions: [] }));

describe('the watch of replicas', () => {
  let scene: Scene;
  beforeEach(() => {
    scene = makeScene();
  });
  afterEach(() => scene.watch.close());

  it('is starting until the first reading, and quiet on a single node', async () => {
    assert.equal(scene.watch.check().state, 'starting');
    assert.equal(scene.watch.current(), undefined);
    await scene.readNext();
    await scene.watch.addMissing(SIGNAL);
    assert.deepEqual(scene.watch.check(), { state: 'up' });
    assert.deepEqual(
      scene.watch.current()?.map(({ label }) => label),
      ['requests', 'dead'],
    );
    assert.deepEqual([scene.lines, scene.added, scene.requested], [[], [], []]);
  });

  it('adds the missing replicas one after the other, and reports when they are complete', async () => {
    scene.nodes = running('a', 'b', 'c');
    await scene.readNext();
    assert.match(scene.watch.check().reason ?? '', /^one more failure stops requests, dead .* The agents add /);
    assert.deepEqual(scene.requested, ['reconcile-broker-soon']);
    await scene.watch.addMissing(SIGNAL);
    assert.deepEqual(
      scene.added,
      [names.requestQueue, names.deadQueue].flatMap((queue) => [`${queue} b`, `${queue} c`]),
    );
    assert.deepEqual(scene.watch.check(), { state: 'up' });
    assert.equal(
      linesWith(scene.lines, 'replicas_reduced', { queues: /"state":"fragile","leader":"a"/ }).length > 0,
      true,
    );
    assert.equal(linesWith(scene.lines, 'replicas_complete').length, 1);
  });

  it('asks for no reconciliation twice for the same lack', async () => {
    scene.nodes = running('a', 'b', 'c');
    await scene.readNext();
    await scene.readNext();
    assert.equal(scene.requested.length, 1);
    assert.equal(linesWith(scene.lines, 'replicas_reduced').length, 1);
    scene.nodes = running('a', 'b', 'c', 'd');
    await scene.readNext();
    assert.equal(scene.requested.length, 2);
  });

  it('makes no call that this RabbitMQ lacks, and names the command', async () => {
    scene.version = '3.10.8';
    scene.onAdd = () => assert.fail('added');
    scene.nodes = running('a', 'b', 'c');
    await scene.readNext();
    await scene.watch.addMissing(SIGNAL);
    assert.match(scene.watch.check().reason ?? '', /\. Run "rabbitmq-queues grow b all /);
    assert.deepEqual(scene.requested, []);
    const advice = /^Run "rabbitmq-queues grow b all --vhost-pattern '\^pulse-agent\$' /;
    assert.equal(linesWith(scene.lines, 'replicas_reduced', { advice }).length, 1);
  });

  it('names the command where the configuration of RabbitMQ forbids the call', async () => {
    let calls = 0;
    scene.onAdd = async () => {
      calls += 1;
      return false;
    };
    scene.nodes = running('a', 'b', 'c');
    await scene.watch.addMissing(SIGNAL);
    assert.equal(calls, 1);
    assert.match(scene.watch.check().reason ?? '', /\. Run "rabbitmq-queues grow b all /);
    assert.equal(linesWith(scene.lines, 'replicas_reduced', { advice: /^Run / }).length, 1);
    assert.deepEqual(scene.added, []);
  });

  it('stops at a failure, and does the rest at the next reconciliation', async () => {
    const { onAdd } = scene;
    scene.onAdd = async () => {
      throw new AgentError('BrokerUnavailable', 'another change is under way');
    };
    scene.nodes = running('a', 'b');
    await scene.watch.addMissing(SIGNAL);
    assert.equal(linesWith(scene.lines, 'replica_not_added', { queue: names.requestQueue, node: 'b' }).length, 1);
    scene.onAdd = onAdd;
    await scene.watch.addMissing(SIGNAL);
    assert.equal(scene.added.length, 2);
  });

  it('goes on where another agent added the same replica at the same moment', async () => {
    const { onAdd } = scene;
    scene.onAdd = async (queue, node) => {
      await onAdd(queue, node);
      if (queue === names.requestQueue) throw new AgentError('BrokerUnavailable', '500');
      return true;
    };
    scene.nodes = running('a', 'b');
    await scene.watch.addMissing(SIGNAL);
    assert.deepEqual(scene.added, [`${names.deadQueue} b`]);
    assert.equal(linesWith(scene.lines, 'replica_not_added').length, 0);
  });

  it('adds no replica twice that RabbitMQ does not list yet', async () => {
    let calls = 0;
    scene.onAdd = async () => {
      calls += 1;
      return true;
    };
    scene.nodes = running('a', 'b');
    await scene.watch.addMissing(SIGNAL);
    assert.equal(calls, 2);
  });

  it('adds none to a queue without a leader, and says which nodes to start', async () => {
    scene.nodes = [{ name: 'a', running: false, partitions: undefined }, ...running('b', 'c')];
    scene.onAdd = () => assert.fail('added');
    await scene.watch.addMissing(SIGNAL);
    assert.equal(scene.watch.check().reason, 'no leader serves requests, dead (0 of 1 replicas online). Start a.');
  });

  it('is down without the request queue', async () => {
    scene.members.delete(names.requestQueue);
    await scene.readNext();
    assert.deepEqual(scene.watch.check(), {
      state: 'down',
      reason: `RabbitMQ has no quorum queue ${names.requestQueue}`,
    });
  });

  it('does not know them a minute after the last reading', async () => {
    await scene.readNext();
    scene.fault = new AgentError('BrokerUnavailable', 'no answer');
    scene.clock.advance(30_000);
    await scene.readNext();
    assert.equal(scene.watch.check().state, 'up');
    scene.clock.advance(31_000);
    await scene.readNext();
    assert.equal(scene.watch.current(), undefined);
    assert.deepEqual(scene.watch.check(), { state: 'down', reason: 'unknown: the replicas were not read for 61 s' });
    assert.equal(linesWith(scene.lines, 'replicas_unknown').length, 1);
    await scene.watch.addMissing(SIGNAL);
    scene.fault = undefined;
    await scene.readNext();
    assert.equal(scene.watch.check().state, 'up');
  });

  it('ends with the reason of the signal', async () => {
    const reason = new Error('stop');
    scene.nodes = running('a', 'b');
    scene.fault = reason;
    await assert.rejects(scene.watch.addMissing(AbortSignal.abort(reason)), reason);
    scene.fault = undefined;
  });
});
