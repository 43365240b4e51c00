import assert from 'node:assert/strict';
import { findOverriddenLimits, findUnprotectedQueues, rivalsOfBackstop } from '../../src/broker/effective-limits.ts';
import { backstopPolicies } from '../../src/broker/backstop.ts';
import type { EffectivePolicy } from '../../src/broker/management/effective-state.ts';
import type { NamedPolicy } from '../../src/broker/management/management.ts';
import { limitPolicies } from '../../src/broker/policies.ts';
import { contractNames } from '../../src/contract/names.ts';

const names = contractNames('pulse-agent');
const wanted = limitPolicies({ id: 'pulse-agent', maxSkewSeconds: 300 });
const requests = wanted.find(({ name }) => name === 'pulse-agent-v1-requests') ?? assert.fail();
const operatorPolicy = (given: Partial<NamedPolicy>): NamedPolicy => ({
  name: 'all',
  pattern: '.*',
  applyTo: 'queues',
  priority: 0,
  definition: {},
  ...given,
});

describe('limits of the agent’s own queues and exchanges', () => {
  const queue = { name: names.requestQueue, policy: requests.name };
  const facts = { queues: [queue], exchanges: [], effective: [], operatorPolicies: [] };

  it('are in effect where its policies apply, and no statistics are needed for that', () => {
    const exchanges = [{ name: names.rpcExchange, policy: 'pulse-agent-v1-rpc' }];
    assert.deepEqual(findOverriddenLimits(wanted, { ...facts, exchanges }), { overridden: [], unknown: [] });
  });

  it('are overridden by a policy of a higher priority, or by none at all', () => {
    const exchanges = [{ name: names.rpcExchange }];
    const { overridden } = findOverriddenLimits(wanted, {
      ...facts,
      queues: [{ ...queue, policy: 'greedy' }],
      exchanges,
    });
    assert.deepEqual(
      overridden.map(({ name, by, isCurrent }) => [name, by, isCurrent]),
      [
        [names.rpcExchange, undefined, false],
        [names.requestQueue, 'greedy', true],
      ],
    );
    assert.ok(overridden[1]?.limits.includes('dead-letter-exchange'));
  });

  it('are lowered, or joined by others, by an operator policy, as the statistics show', () => {
    const definition = { ...requests.definition, 'max-length': 10, expires: 1000 };
    const effective = [{ name: names.requestQueue, type: 'quorum', operatorPolicy: 'all', definition }];
    const { overridden } = findOverriddenLimits(wanted, {
      ...facts,
      effective,
      operatorPolicies: [operatorPolicy({})],
    });
    assert.deepEqual(overridden, [
      { of: 'agent', name: names.requestQueue, by: 'all', limits: ['max-length', 'expires'], isCurrent: false },
    ]);
  });

  it('are lost where no policy applies, as the statistics show', () => {
    const queues = [{ name: names.requestQueue }];
    assert.deepEqual(findOverriddenLimits(wanted, { ...facts, queues }).unknown, [names.requestQueue]);
    const effective = [{ name: names.requestQueue, type: 'quorum', definition: {} }];
    const [lost] = findOverriddenLimits(wanted, { ...facts, queues, effective }).overridden;
    assert.deepEqual(lost?.limits, Object.keys(requests.definition));
    const own = [{ name: names.requestQueue, type: 'quorum', definition: { ...requests.definition } }];
    assert.deepEqual(findOverriddenLimits(wanted, { ...facts, queues, effective: own }), {
      overridden: [],
      unknown: [],
    });
  });

  it('are unknown where an operator policy matches and there are no statistics', () => {
    const unknownFor = (policy: Partial<NamedPolicy>): readonly string[] =>
      findOverriddenLimits(wanted, { ...facts, operatorPolicies: [operatorPolicy(policy)] }).unknown;
    assert.deepEqual(unknownFor({}), [names.requestQueue]);
    assert.deepEqual(unknownFor({ pattern: '(?<odd' }), [names.requestQueue], 'a pattern that JavaScript cannot read');
    assert.deepEqual(unknownFor({ pattern: '^other' }), []);
    assert.deepEqual(unknownFor({ applyTo: 'exchanges' }), []);
  });
});

describe('the backstop of the queues of namespaces', () => {
  const settings = {
    id: 'pulse-agent',
    vhost: '/',
    namespacePrefix: 'taskcluster-',
    maxMessages: 100,
    maxBytes: 1000,
    streamMaxBytes: 5000,
    rules: [],
    exemptQueues: ['queue/taskcluster-x/free'],
    reservedNamespaces: [],
  };
  const backstop = [...backstopPolicies(settings, '4.0.5').values()].filter((policy) => policy !== undefined);

  it('has rivals only of the same priority or a higher one, with higher limits', () => {
    const rivals = (given: Partial<NamedPolicy>): number => rivalsOfBackstop(backstop, [operatorPolicy(given)]).length;
    assert.equal(rivals({ priority: 999 }), 0);
    assert.equal(rivals({ priority: 1000 }), 1);
    assert.equal(rivals({ priority: 1000, definition: { 'max-length': 100, 'max-length-bytes': 1000 } }), 0);
    assert.equal(rivals({ priority: 1000, definition: { 'max-length': 100 } }), 1);
    assert.equal(rivals({ priority: 9000, applyTo: 'exchanges' }), 0);
    assert.equal(rivalsOfBackstop(backstop, backstop).length, 0);
  });

  it('does not protect queues and streams whose effective limits are higher or absent', () => {
    const queue = (name: string, given: Partial<EffectivePolicy>): EffectivePolicy => ({
      name: `queue/taskcluster-x/${name}`,
      type: 'classic',
      operatorPolicy: 'all',
      definition: {},
      ...given,
    });
    const { overridden, unknown } = findUnprotectedQueues(backstop, [
      queue('limited', { definition: { 'max-length': 100, 'max-length-bytes': 900 } }),
      queue('long', { definition: { 'max-length': 101, 'max-length-bytes': 1000 } }),
      queue('unlimited', {}),
      queue('stream', { type: 'stream', definition: { 'max-length-bytes': 5000 } }),
      queue('large-stream', { type: 'stream' }),
      queue('new', { definition: undefined }),
      queue('free', {}),
      { ...queue('x', {}), name: 'queue/other/x' },
    ]);
    assert.deepEqual(
      overridden.map(({ name, limits }) => [name.slice('queue/taskcluster-x/'.length), limits]),
      [
        ['long', ['max-length']],
        ['unlimited', ['max-length', 'max-length-bytes']],
        ['large-stream', ['max-length-bytes']],
      ],
    );
    assert.deepEqual(unknown, ['queue/taskcluster-x/new']);
  });
});
