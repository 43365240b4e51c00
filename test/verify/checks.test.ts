import assert from 'node:assert/strict';
import { type BackstopSettings, backstopPolicies } from '../../src/broker/backstop.ts';
import { requesterPermissions } from '../../src/broker/request-vhost.ts';
import { METHODS } from '../../src/contract/methods.ts';
import { contractNames } from '../../src/contract/names.ts';
import {
  checkEventExchange,
  checkIdentity,
  checkNodes,
  checkPermissions,
  checkVersion,
} from '../../src/verify/broker-steps.ts';
import type { StepResult } from '../../src/verify/step.ts';
import { agentPermissions, brokerEventPermissions, missingPermissions } from '../../src/verify/permissions.ts';
import { checkReclaim } from '../../src/verify/end-to-end-check.ts';
import { checkIndexes, checkReplicaSet, checkSecrets, checkMajorityWrite } from '../../src/verify/store-steps.ts';
import { pageStep } from '../../src/verify/page-step.ts';
import type { Permissions } from '../../src/broker/management/management.ts';
import { Secret } from '../../src/util/secret.ts';
import { checkMarker } from '../../src/verify/marker-step.ts';
import {
  checkChatScopes,
  checkClocks,
  checkNotifyScope,
  checkPing,
  clockOfDateHeader,
  type NamespaceContact,
} from '../../src/verify/taskcluster-steps.ts';
import { readNamePattern } from '../../src/util/name-pattern.ts';
import { documentedRights } from '../support/documented-rights.ts';
import { checkBackstop, checkClaimant, checkReservedNames, checkTopology } from '../../src/verify/topology-steps.ts';

const ID = 'pulse-agent';

const DOCUMENTED = documentedRights();

function outcomes(results: readonly StepResult[]): string[] {
  return results.map(({ outcome }) => outcome);
}

/** A warning or failure always has a remedy. */
function assertRemedy(result: StepResult, outcome: 'failed' | 'warning', remedy: RegExp): void {
  assert.equal(result.outcome, outcome, result.said);
  assert.match(result.remedy ?? '', remedy);
}

describe('the checks of verify', () => {
  it('the rights for the page for operators', async () => {
    const vhost = '/';
    const check = async (permissions: Permissions | undefined, operatorToken?: Secret): Promise<StepResult> => {
      const config = { id: ID, vhost, agentUser: 'agent', operatorToken };
      const step = pageStep({ config, management: { getPermissions: async () => permissions } });
      assert.equal(step.essential, false);
      return await step.run(new AbortController().signal);
    };
    const token = new Secret('x');
    assert.deepEqual(outcomes([await check(DOCUMENTED)]), ['skipped']);
    assertRemedy(await check(DOCUMENTED, token), 'warning', /docs\/page\.md/);
    assert.match((await check(DOCUMENTED, token)).said, /lacks configure on queue\/pulse-agent\/v1\/page-events\//);
    assertRemedy(await check(undefined, token), 'warning', /docs\/page\.md/);
    const own = '^queue/pulse-agent/v1/page-events/.*$';
    const enough = { configure: own, write: own, read: `${own}|^exchange/pulse-agent/v1/events$` };
    assert.deepEqual(outcomes([await check(enough, token)]), ['ok']);
  });

  it('the nodes of RabbitMQ', () => {
    const nodes = (...running: boolean[]) =>
      running.map((isRunning, index) => ({ name: `node-${index}`, running: isRunning, partitions: [] }));
    assert.deepEqual(outcomes([checkNodes(nodes(true)), checkNodes(nodes(true, true, true))]), ['ok', 'ok']);
    const unknown = nodes(true, true).map((node) => ({ ...node, partitions: undefined }));
    assert.match(checkNodes(unknown).said, /separated is not in the statistics/);
    assertRemedy(checkNodes(nodes(true, true, false)), 'warning', /forget_cluster_node/);
    assertRemedy(checkNodes(nodes(true, false, false)), 'failed', /Heal the cluster/);
    const separated = nodes(true, true, true).map((node) => ({ ...node, partitions: ['node-2'] }));
    assertRemedy(checkNodes(separated), 'failed', /Heal the cluster/);
  });

  it('the limits of queues and streams', () => {
    const check = (given: Partial<BackstopSettings>, version = '4.0.5') => {
      const limits = { maxMessages: 80_000, maxBytes: 2_000, streamMaxBytes: 1_000 };
      const patterns = { rules: [], exemptQueues: [], reservedNamespaces: [] };
      const settings = { id: ID, vhost: '/', namespacePrefix: 'taskcluster-', ...limits, ...patterns, ...given };
      const present = [...backstopPolicies(settings, version).values()].filter((policy) => policy !== undefined);
      return checkBackstop(settings, { rabbitmqVersion: version }, present);
    };
    assert.equal(check({}).said, 'a queue keeps at most 80000 messages and 2000 bytes, a stream at most 1000 bytes');
    assert.equal(check({}).outcome, 'ok');
    assertRemedy(check({ streamMaxBytes: null }), 'warning', /streamMaxBytes/);
    assertRemedy(check({ maxMessages: null, maxBytes: null }), 'warning', /queueBackstopMessages/);
    assertRemedy(check({ maxMessages: null }, '3.10.8'), 'warning', /before 3\.12/);
  });

  it('the identity of the agent on the broker', () => {
    assert.equal(checkIdentity({ name: 'agent', tags: ['administrator'] }).outcome, 'ok');
    assertRemedy(checkIdentity({ name: 'agent', tags: ['monitoring'] }), 'failed', /set_user_tags agent administrator/);
  });

  it('the version of RabbitMQ', () => {
    const of = (rabbitmqVersion: string) => checkVersion({ rabbitmqVersion, erlangVersion: '27' });
    assert.deepEqual(outcomes([of('4.0.5'), of('4.3.0'), of('10.0.0')]), ['ok', 'ok', 'ok']);
    assertRemedy(of('3.10.8'), 'warning', /upgrade/);
    assertRemedy(of('3.9.29'), 'failed', /3\.10/);
  });

  it('the event exchange', () => {
    assert.equal(checkEventExchange(true, { eventVhost: '/' }).outcome, 'ok');
    assertRemedy(checkEventExchange(false, { eventVhost: '/' }), 'failed', /rabbitmq-plugins enable/);
  });

  it('the permissions of the agent', () => {
    assert.deepEqual(
      missingPermissions({ ...DOCUMENTED, read: '' }, agentPermissions(ID, 'taskcluster-', [{ onOvergrown: 'purge' }])),
      [{ permission: 'read', name: 'queue/taskcluster-a/b' }],
    );
    assert.deepEqual(missingPermissions(DOCUMENTED, agentPermissions(ID, 'taskcluster-')), []);
    assert.deepEqual(
      missingPermissions({ ...DOCUMENTED, write: '^rpc/' }, agentPermissions(ID, 'taskcluster-')).slice(0, 1),
      [{ permission: 'write', name: 'exchange/pulse-agent/v1/events' }],
    );
    assert.equal(
      missingPermissions(undefined, agentPermissions(ID, 'taskcluster-')).length,
      agentPermissions(ID, 'taskcluster-').length,
    );
    // An empty pattern grants nothing in RabbitMQ, but matches everything in JavaScript.
    assert.equal(
      missingPermissions({ configure: '', write: '', read: '' }, agentPermissions(ID, 'taskcluster-')).length,
      agentPermissions(ID, 'taskcluster-').length,
    );
    assert.equal(missingPermissions({ configure: '(', write: '(', read: '(' }, brokerEventPermissions(ID)).length, 7);
    assertRemedy(
      checkPermissions('agent', [{ vhost: 'v', missing: agentPermissions(ID, 'taskcluster-') }]),
      'failed',
      /set_permissions -p v agent/,
    );
  });

  it('the topology', () => {
    const names = new Set<string>(Object.values(contractNames(ID)));
    const methods = new Set(Object.keys(METHODS));
    const facts = { names, methods, foreignSources: [] };
    assert.equal(checkTopology(ID, facts).outcome, 'ok');
    assertRemedy(checkTopology(ID, { ...facts, names: new Set() }), 'failed', /Start an agent/);
    assertRemedy(checkTopology(ID, { ...facts, methods: new Set(['ping']) }), 'failed', /Start an agent/);
    assertRemedy(checkTopology(ID, { ...facts, foreignSources: ['exchange/x/y'] }), 'failed', /log/);
  });

  it('the claimant', () => {
    const config = { id: ID, requestVhost: 'v', claimantLimits: { 'max-connections': 10 } };
    const user = { name: `${ID}-claimant`, passwordHash: '', hashingAlgorithm: '', tags: ['pulse-agent-store'] };
    const own = { vhost: 'v', ...requesterPermissions(ID) };
    const limits = { 'max-connections': 10, 'max-channels': -1 };
    const sound = { user, permissions: [own], limits };
    assert.equal(checkClaimant(sound, config).outcome, 'ok');
    assertRemedy(checkClaimant({ ...sound, user: undefined }, config), 'failed', /Start an agent/);
    assertRemedy(checkClaimant({ ...sound, permissions: [] }, config), 'failed', /Start an agent/);
    assertRemedy(checkClaimant({ ...sound, limits: {} }, config), 'failed', /Start an agent/);
    const tooMuch: StepResult[] = [
      checkClaimant({ ...sound, user: { ...user, tags: ['monitoring'] } }, config),
      checkClaimant({ ...sound, user: { ...user, tags: ['pulse-agent-store', 'monitoring'] } }, config),
      checkClaimant({ ...sound, permissions: [{ ...own, read: '.*' }] }, config),
      checkClaimant({ ...sound, permissions: [own, { ...own, vhost: 'other' }] }, config),
    ];
    for (const result of tooMuch) assertRemedy(result, 'failed', /clear_permissions/);
  });

  it('the reserved names', () => {
    const reservedNamespaces = [readNamePattern('taskcluster-auth')];
    const config = { usernamePrefix: 'p.', namespacePrefix: 'taskcluster-', reservedNamespaces };
    const check = (name: string, ...tags: string[]) => checkReservedNames([{ name, tags }], config);
    assertRemedy(check('p.taskcluster-auth-2', 'pulse-agent-store'), 'failed', /released/);
    for (const result of [
      check('p.taskcluster-auth-2', 'administrator'),
      check('p.taskcluster-auth', 'pulse-agent-store'),
      check('p.taskcluster-builds-1', 'pulse-agent-store'),
    ]) {
      assert.equal(result.outcome, 'ok');
    }
  });

  it('the marker', () => {
    assert.deepEqual(outcomes([checkMarker('a', 'a'), checkMarker('a', undefined)]), ['ok', 'ok']);
    assertRemedy(checkMarker(undefined, 'a'), 'failed', /Start an agent/);
    assertRemedy(checkMarker('b', 'a'), 'failed', /pulse-agent adopt/);
  });

  it('MongoDB', () => {
    const alone = { replicaSet: undefined, isSharded: false, timeMs: 0 };
    assert.deepEqual(
      outcomes([
        checkReplicaSet({ ...alone, replicaSet: 'rs0' }, true),
        checkReplicaSet({ ...alone, isSharded: true }, true),
        checkMajorityWrite(20),
        checkIndexes([]),
        checkSecrets(new Map()),
      ]),
      ['ok', 'ok', 'ok', 'ok', 'ok'],
    );
    assertRemedy(checkReplicaSet(alone, true), 'failed', /replica set/);
    assertRemedy(checkReplicaSet(alone, false), 'warning', /replica set/);
    assertRemedy(checkMajorityWrite(900), 'warning', /disks/);
    const missing = { collection: 'namespaces', index: 'by-expires', fault: 'missing' } as const;
    assertRemedy(checkIndexes([missing]), 'failed', /Start an agent/);
    assertRemedy(checkIndexes([missing, { ...missing, fault: 'stale' }]), 'failed', /dropIndex\("by-expires"\)/);
    assertRemedy(checkSecrets(new Map([['k', 3]])), 'failed', /PULSE_AGENT_PREVIOUS_SECRETS/);
  });

  it('Taskcluster', () => {
    assert.equal(checkPing({ status: 200, isAlive: true }, 'https://tc').outcome, 'ok');
    assertRemedy(checkPing({ status: 503, isAlive: false }, 'https://tc'), 'failed', /TASKCLUSTER_ROOT_URL/);
    assertRemedy(checkPing({ status: 200, isAlive: false }, 'https://tc'), 'failed', /login/);
    assertRemedy(checkPing({ status: 302, isAlive: false }, 'https://tc'), 'failed', /login/);
    const known = (scopes: string[]) => checkNotifyScope({ status: 'known', clientId: 'c', scopes });
    assert.deepEqual(outcomes([known(['notify:*']), known(['notify:email:*'])]), ['ok', 'ok']);
    assertRemedy(known(['notify:email:*@example.com']), 'warning', /not reached/);
    assertRemedy(known([]), 'failed', /notify:email/);
    assertRemedy(checkNotifyScope({ status: 'refused', message: 'no' }), 'failed', /TASKCLUSTER_ACCESS_TOKEN/);
  });

  it('the scopes for rooms and channels that are contacts, without showing them', () => {
    const matrix = { namespace: 'taskcluster-m', contact: 'matrix:!secret:example.org' };
    const slack = { namespace: 'taskcluster-s', contact: 'slack:C0SECRET' };
    const later = { namespace: 'taskcluster-l', contact: 'irc:secret' };
    const check = (contacts: NamespaceContact[], ...scopes: string[]) =>
      checkChatScopes(contacts, { status: 'known', clientId: 'c', scopes });
    const both = ['notify:matrix-room:*', 'notify:slack-channel:C0SECRET'];
    assert.equal(check([matrix, slack], ...both).outcome, 'ok');
    assertRemedy(check([matrix, slack], 'notify:email:*'), 'failed', /notify:matrix-room:\*, notify:slack-channel:\*/);
    assertRemedy(check([matrix, slack], 'notify:matrix-room:*'), 'failed', /scopes notify:slack-channel:\*,/);
    assertRemedy(check([matrix, slack, later], ...both), 'warning', /Update the agents/);
    const many = Array.from({ length: 9 }, (_, number) => ({ ...slack, namespace: `taskcluster-${number}` }));
    assert.match(check(many).said, /taskcluster-4 and 4 more$/);
    assert.equal(checkChatScopes([matrix], { status: 'refused', message: 'no' }).outcome, 'skipped');
    for (const { said, remedy = '' } of [check([matrix, slack, later], ...both), check([matrix, slack, later])]) {
      assert.doesNotMatch(said + remedy, /secret/i);
    }
  });

  it('clocks, whose readings are not exact', () => {
    const nowMs = Date.parse('2026-01-01T00:00:10.900Z');
    const reading = (date: string | null) => clockOfDateHeader('Taskcluster', date, nowMs, nowMs + 40);
    assert.equal(reading(null), undefined);
    const same = reading('Thu, 01 Jan 2026 00:00:10 GMT');
    const behind = reading('Thu, 01 Jan 2026 00:10:00 GMT');
    const little = reading('Thu, 01 Jan 2026 00:03:00 GMT');
    assert.ok(same !== undefined && behind !== undefined && little !== undefined);
    assert.equal(checkClocks([same], 1).outcome, 'ok');
    assert.equal(checkClocks([], 300).outcome, 'skipped');
    assertRemedy(checkClocks([same, behind], 300), 'failed', /time service/);
    assertRemedy(checkClocks([little], 300), 'warning', /time service/);
    assert.match(checkClocks([behind], 300).said, /s behind Taskcluster/);
    assert.match(checkClocks([{ ...behind, aheadMs: -behind.aheadMs }], 300).said, /s ahead of Taskcluster/);
  });

  it('a claim that promises less than the one before', () => {
    const claim = {
      namespace: 'n',
      created: '',
      expires: '2026-01-01',
      reclaimAt: '2026-01-01',
      connectionString: 'a',
    };
    assert.equal(checkReclaim(claim, { ...claim, connectionString: 'b' }).outcome, 'ok');
    assertRemedy(checkReclaim(claim, { ...claim, reclaimAt: '2025-12-31' }), 'failed', /clocks/);
  });
});
