import assert from 'node:assert/strict';
import type { ClusterNode } from '../../src/broker/management/management.ts';
import { adviseReplicas, describeReplicas } from '../../src/broker/replica-advice.ts';
import {
  assessReplicas,
  hasReplicaCall,
  nextReplica,
  type OwnQueue,
  ownQuorumQueues,
  type QueueReplicas,
} from '../../src/broker/queue-replicas.ts';
import { contractNames } from '../../src/contract/names.ts';

const OWN: OwnQueue = { label: 'requests', vhost: 'pulse-agent', name: 'queue/pulse-agent/v1/requests' };

/** The nodes `a`, `b`, …; those in capitals are down. */
function nodesOf(text: string): ClusterNode[] {
  return Array.from(text, (letter) => ({
    name: letter.toLowerCase(),
    running: letter === letter.toLowerCase(),
    partitions: [],
  }));
}

/** The replicas of a queue with these members on these nodes, all of them online where their node runs. */
function assess(members: string, nodes: string, own = OWN): QueueReplicas {
  const listed = nodesOf(nodes);
  const names = Array.from(members);
  const online = names.filter((name) => listed.some((node) => node.name === name && node.running));
  const leader = online.length * 2 > names.length ? online[0] : undefined;
  return assessReplicas(own, { name: own.name, leader, members: names, online }, listed);
}

describe('replicas of the agent’s queues', () => {
  for (const [members, nodes, state, addable, why] of [
    ['a', 'a', 'complete', '', 'the only node has it'],
    ['abc', 'abc', 'complete', '', 'each node has it'],
    ['abcde', 'abcdefg', 'complete', '', 'five nodes have it, and no more are wanted'],
    ['ab', 'ab', 'complete', '', 'two nodes cannot carry the loss of one'],
    ['a', 'ab', 'lacking', 'b', 'a second node keeps the messages if the first is lost'],
    ['abc', 'abcd', 'lacking', 'd', 'a fourth node has joined'],
    ['abc', 'abcdefg', 'lacking', 'de', 'up to five nodes should have it'],
    ['a', 'abc', 'fragile', 'bc', 'it was installed on one node, and two were added'],
    ['abc', 'abC', 'fragile', '', 'a node is down'],
    ['abc', 'abCd', 'fragile', '', 'a node is down, and may return: another one has joined'],
    ['ab', 'abd', 'fragile', 'd', 'a node was replaced'],
    ['abc', 'abd', 'fragile', 'd', 'a node was removed, and its replica was not'],
    ['abcd', 'abcD', 'fragile', '', 'four need three'],
    ['abcde', 'abcdE', 'complete', '', 'five can lose one more'],
    ['abcde', 'abcdEf', 'complete', '', 'a node of five is down: a replica more would stay for ever'],
    ['abc', 'aBC', 'stopped', '', 'a minority is left'],
    ['a', 'Abc', 'stopped', '', 'its only node is down'],
    ['abcx', 'abc', 'fragile', '', 'a node has left the cluster, and its replica has not'],
    ['abcdex', 'abcde', 'lacking', '', 'a replica counts on a node that has left the cluster'],
  ] as const) {
    it(`${members} on ${nodes}: ${state}, as ${why}`, () => {
      const found = assess(members, nodes);
      assert.deepEqual([found.state, found.addable.join('')], [state, addable]);
    });
  }

  it('are stopped without a leader, whatever is online', () => {
    const queue = { name: OWN.name, members: ['a', 'b', 'c'], online: ['a', 'b', 'c'] };
    assert.equal(assessReplicas(OWN, queue, nodesOf('abc')).state, 'stopped');
  });

  it('name the members that are down, those whose node has left, and the nodes without one', () => {
    const { offline, departed, spare } = assess('abc', 'aBde');
    assert.deepEqual({ offline, departed, spare }, { offline: ['b'], departed: ['c'], spare: ['d', 'e'] });
  });

  it('are those of every quorum queue that an agent declares', () => {
    const own = ownQuorumQueues(contractNames('x'), { requestVhost: 'x', eventVhost: '/' });
    assert.deepEqual(
      own.map(({ label, vhost, name }) => `${label} ${vhost} ${name}`),
      [
        'requests x queue/x/v1/requests',
        'unknown-methods x queue/x/v1/unknown-methods',
        'dead x queue/x/v1/dead',
        'broker-events / queue/x/v1/broker-events',
        'tenant-events / queue/x/v1/tenant-events',
      ],
    );
  });
});

describe('the next replica to add', () => {
  const dead: OwnQueue = { ...OWN, label: 'dead', name: 'queue/pulse-agent/v1/dead' };
  const none = (): boolean => false;

  it('is one of one queue, on the first node that lacks it', () => {
    assert.deepEqual(nextReplica([assess('abc', 'abc'), assess('a', 'acb', dead)], none), {
      queue: assess('a', 'acb', dead),
      node: 'b',
    });
  });

  it('is not of a queue without a leader', () => {
    assert.equal(nextReplica([assess('a', 'Abc'), assess('abc', 'abc', dead)], none), undefined);
  });

  it('is none that was tried', () => {
    const queues = [assess('a', 'abc')];
    const next = nextReplica(queues, ({ queue, node }) => queue.label === 'requests' && node === 'b');
    assert.equal(next?.node, 'c');
    assert.equal(
      nextReplica(queues, () => true),
      undefined,
    );
  });
});

describe('the description of replicas, and the advice', () => {
  const events: OwnQueue = { label: 'broker-events', vhost: '/', name: 'queue/pulse-agent/v1/broker-events' };
  const dead: OwnQueue = { ...OWN, label: 'dead', name: 'queue/pulse-agent/v1/dead' };
  const about = (queues: readonly QueueReplicas[], canAgentsAdd = false): readonly (string | undefined)[] => [
    describeReplicas(queues),
    adviseReplicas('pulse-agent', queues, canAgentsAdd),
  ];

  it('are empty where all are complete', () => {
    assert.deepEqual(about([assess('abc', 'abc')]), [undefined, '']);
  });

  it('name the command that adds the replicas of all queues on a node', () => {
    const queues = [assess('a', 'abc'), assess('a', 'abc', dead), assess('abx', 'abc', events)];
    assert.deepEqual(about(queues), [
      'one more failure stops requests, dead (1 of 1 replicas online); one more failure stops broker-events (2 of 3 replicas online)',
      [
        'x is no longer part of the cluster: run "rabbitmq-queues shrink x".',
        `Run "rabbitmq-queues grow b all --vhost-pattern '^pulse-agent$' --queue-pattern '^queue/pulse-agent/'`,
        `&& rabbitmq-queues grow c all --vhost-pattern '^pulse-agent$|^/$' --queue-pattern '^queue/pulse-agent/'".`,
      ].join(' '),
    ]);
  });

  it('say that the agents add them, where RabbitMQ lets them', () => {
    const [said, remedy] = about([assess('abc', 'abcd')], true);
    assert.equal(said, 'requests could have more replicas (3 of 3 online)');
    assert.match(remedy ?? '', /^The agents add .*; if they do not, run "rabbitmq-queues grow d all /);
  });

  it('name the nodes that are down, and that none may be removed while a majority is missing', () => {
    assert.deepEqual(about([assess('abc', 'abCd')]), [
      'one more failure stops requests (2 of 3 replicas online)',
      'Start c, or, if it is lost for good, run "rabbitmqctl forget_cluster_node c" on a node that runs.',
    ]);
    assert.deepEqual(about([assess('abc', 'aBC'), assess('a', 'aBC', dead)]), [
      'no leader serves requests (1 of 3 replicas online)',
      'Start b. Start c.',
    ]);
  });

  it('quote vhosts for a shell', () => {
    const odd: OwnQueue = { ...OWN, vhost: "it's (mine)" };
    const [, remedy = ''] = about([assess('a', 'ab', odd)]);
    assert.match(remedy, / --vhost-pattern '\^it'\\''s \\\(mine\\\)\$' /);
  });
});

describe('whether RabbitMQ adds replicas over its management API', () => {
  for (const [version, isThere] of [
    ['3.10.8', false],
    ['3.11.18', false],
    ['3.11.19', true],
    ['3.12.0', false],
    ['3.12.1', true],
    ['3.12.14+1', true],
    ['3.13.0-rc.1', true],
    ['4.0.5', true],
  ] as const) {
    it(`${version}: ${isThere}`, () => assert.equal(hasReplicaCall(version), isThere));
  }
});
