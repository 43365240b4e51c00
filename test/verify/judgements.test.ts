import assert from 'node:assert/strict';
import { claimantPermissions } from '../../src/broker/claimant.ts';
import { METHODS } from '../../src/contract/methods.ts';
import { contractNames } from '../../src/contract/names.ts';
import { judgeEventExchange, judgeIdentity, judgeRights, judgeVersion } from '../../src/verify/broker-steps.ts';
import type { Finding } from '../../src/verify/finding.ts';
import { agentRights, brokerEventRights, missingRights } from '../../src/verify/rights.ts';
import { judgeReclaim } from '../../src/verify/end-to-end-check.ts';
import { judgeIndexes, judgeReplicaSet, judgeSecrets, judgeWrite } from '../../src/verify/store-steps.ts';
import { judgeClocks, judgeNotify, judgePing, readDate } from '../../src/verify/taskcluster-steps.ts';
import { documentedRights } from '../support/documented-rights.ts';
import { judgeClaimant, judgeMarker, judgeTopology } from '../../src/verify/topology-steps.ts';

const ID = 'pulse-agent';

const DOCUMENTED = documentedRights();

function outcomes(findings: readonly Finding[]): string[] {
  return findings.map(({ outcome }) => outcome);
}

/** A finding that is not well always says what to do. */
function assertRemedy(finding: Finding, outcome: 'failed' | 'warning', remedy: RegExp): void {
  assert.equal(finding.outcome, outcome, finding.said);
  assert.match(finding.remedy ?? '', remedy);
}

describe('what verify makes of what it sees', () => {
  it('of who the agent is on the broker', () => {
    assert.equal(judgeIdentity({ name: 'agent', tags: ['administrator'] }).outcome, 'ok');
    assertRemedy(judgeIdentity({ name: 'agent', tags: ['monitoring'] }), 'failed', /set_user_tags agent administrator/);
  });

  it('of the version of RabbitMQ', () => {
    const of = (rabbitmqVersion: string) => judgeVersion({ rabbitmqVersion, erlangVersion: '27' });
    assert.deepEqual(outcomes([of('4.0.5'), of('4.3.0'), of('10.0.0')]), ['ok', 'ok', 'ok']);
    assertRemedy(of('3.10.8'), 'warning', /upgrade/);
    assertRemedy(of('3.9.29'), 'failed', /3\.10/);
  });

  it('of the event exchange', () => {
    assert.equal(judgeEventExchange(true, { eventVhost: '/' }).outcome, 'ok');
    assertRemedy(judgeEventExchange(false, { eventVhost: '/' }), 'failed', /rabbitmq-plugins enable/);
  });

  it('of the rights of the agent', () => {
    assert.deepEqual(missingRights(DOCUMENTED, agentRights(ID, 'taskcluster-')), []);
    assert.deepEqual(missingRights({ ...DOCUMENTED, write: '^rpc/' }, agentRights(ID, 'taskcluster-')).slice(0, 1), [
      { right: 'write', name: 'amq.default' },
    ]);
    assert.equal(
      missingRights(undefined, agentRights(ID, 'taskcluster-')).length,
      agentRights(ID, 'taskcluster-').length,
    );
    // An empty pattern gives nothing in RabbitMQ, and everything in JavaScript.
    assert.equal(
      missingRights({ configure: '', write: '', read: '' }, agentRights(ID, 'taskcluster-')).length,
      agentRights(ID, 'taskcluster-').length,
    );
    assert.equal(missingRights({ configure: '(', write: '(', read: '(' }, brokerEventRights(ID)).length, 4);
    assertRemedy(
      judgeRights('agent', [{ vhost: 'v', missing: agentRights(ID, 'taskcluster-') }]),
      'failed',
      /set_permissions -p v agent/,
    );
  });

  it('of the topology', () => {
    const names = new Set<string>(Object.values(contractNames(ID)));
    const methods = new Set(Object.keys(METHODS));
    const facts = { names, methods, foreignSources: [] };
    assert.equal(judgeTopology(ID, facts).outcome, 'ok');
    assertRemedy(judgeTopology(ID, { ...facts, names: new Set() }), 'failed', /Start an agent/);
    assertRemedy(judgeTopology(ID, { ...facts, methods: new Set(['ping']) }), 'failed', /Start an agent/);
    assertRemedy(judgeTopology(ID, { ...facts, foreignSources: ['exchange/x/y'] }), 'failed', /log/);
  });

  it('of the claimant', () => {
    const config = { id: ID, vhost: 'v', claimantLimits: { 'max-connections': 10 } };
    const user = { name: `${ID}-claimant`, passwordHash: '', hashingAlgorithm: '', tags: [] };
    const own = { vhost: 'v', ...claimantPermissions(ID) };
    const limits = { 'max-connections': 10, 'max-channels': -1 };
    const sound = { user, permissions: [own], limits };
    assert.equal(judgeClaimant(sound, config).outcome, 'ok');
    assertRemedy(judgeClaimant({ ...sound, user: undefined }, config), 'failed', /Start an agent/);
    assertRemedy(judgeClaimant({ ...sound, permissions: [] }, config), 'failed', /Start an agent/);
    assertRemedy(judgeClaimant({ ...sound, limits: {} }, config), 'failed', /Start an agent/);
    const tooMuch: Finding[] = [
      judgeClaimant({ ...sound, user: { ...user, tags: ['monitoring'] } }, config),
      judgeClaimant({ ...sound, permissions: [{ ...own, read: '.*' }] }, config),
      judgeClaimant({ ...sound, permissions: [own, { ...own, vhost: 'other' }] }, config),
    ];
    for (const finding of tooMuch) assertRemedy(finding, 'failed', /clear_permissions/);
  });

  it('of the marker', () => {
    assert.deepEqual(outcomes([judgeMarker('a', 'a'), judgeMarker('a', undefined)]), ['ok', 'ok']);
    assertRemedy(judgeMarker(undefined, 'a'), 'failed', /Start an agent/);
    assertRemedy(judgeMarker('b', 'a'), 'failed', /pulse-agent adopt/);
  });

  it('of MongoDB', () => {
    const alone = { replicaSet: undefined, isSharded: false, timeMs: 0 };
    assert.deepEqual(
      outcomes([
        judgeReplicaSet({ ...alone, replicaSet: 'rs0' }, true),
        judgeReplicaSet({ ...alone, isSharded: true }, true),
        judgeWrite(20),
        judgeIndexes([]),
        judgeSecrets(new Map()),
      ]),
      ['ok', 'ok', 'ok', 'ok', 'ok'],
    );
    assertRemedy(judgeReplicaSet(alone, true), 'failed', /replica set/);
    assertRemedy(judgeReplicaSet(alone, false), 'warning', /replica set/);
    assertRemedy(judgeWrite(900), 'warning', /disks/);
    const missing = { collection: 'namespaces', index: 'by-expires', fault: 'missing' } as const;
    assertRemedy(judgeIndexes([missing]), 'failed', /Start an agent/);
    assertRemedy(judgeIndexes([missing, { ...missing, fault: 'stale' }]), 'failed', /dropIndex\("by-expires"\)/);
    assertRemedy(judgeSecrets(new Map([['k', 3]])), 'failed', /PULSE_AGENT_PREVIOUS_SECRETS/);
  });

  it('of Taskcluster', () => {
    assert.equal(judgePing(200, 'https://tc').outcome, 'ok');
    assertRemedy(judgePing(503, 'https://tc'), 'failed', /TASKCLUSTER_ROOT_URL/);
    const known = (scopes: string[]) => judgeNotify({ status: 'known', clientId: 'c', scopes });
    assert.deepEqual(outcomes([known(['notify:*']), known(['notify:email:*'])]), ['ok', 'ok']);
    assertRemedy(known(['notify:email:*@example.com']), 'warning', /not reached/);
    assertRemedy(known([]), 'failed', /notify:email/);
    assertRemedy(judgeNotify({ status: 'refused', message: 'no' }), 'failed', /TASKCLUSTER_ACCESS_TOKEN/);
  });

  it('of clocks, whose readings are not exact', () => {
    const nowMs = Date.parse('2026-01-01T00:00:10.900Z');
    const reading = (date: string | null) => readDate('Taskcluster', date, nowMs, nowMs + 40);
    assert.equal(reading(null), undefined);
    const same = reading('Thu, 01 Jan 2026 00:00:10 GMT');
    const behind = reading('Thu, 01 Jan 2026 00:10:00 GMT');
    const little = reading('Thu, 01 Jan 2026 00:03:00 GMT');
    assert.ok(same !== undefined && behind !== undefined && little !== undefined);
    assert.equal(judgeClocks([same], 1).outcome, 'ok');
    assert.equal(judgeClocks([], 300).outcome, 'skipped');
    assertRemedy(judgeClocks([same, behind], 300), 'failed', /time service/);
    assertRemedy(judgeClocks([little], 300), 'warning', /time service/);
    assert.match(judgeClocks([behind], 300).said, /s behind Taskcluster/);
    assert.match(judgeClocks([{ ...behind, aheadMs: -behind.aheadMs }], 300).said, /s ahead of Taskcluster/);
  });

  it('of a claim that promises less than the one before', () => {
    const claim = {
      namespace: 'n',
      created: '',
      expires: '2026-01-01',
      reclaimAt: '2026-01-01',
      connectionString: 'a',
    };
    assert.equal(judgeReclaim(claim, { ...claim, connectionString: 'b' }).outcome, 'ok');
    assertRemedy(judgeReclaim(claim, { ...claim, reclaimAt: '2025-12-31' }), 'failed', /clocks/);
  });
});
