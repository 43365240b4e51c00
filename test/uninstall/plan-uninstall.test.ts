import assert from 'node:assert/strict';
import type { InstallationOnBroker } from '../../src/uninstall/installation-on-broker.ts';
import { planUninstall, type UninstallOptions, type UninstallPlan } from '../../src/uninstall/plan-uninstall.ts';
import { removeInstallation, type StepOutcome } from '../../src/uninstall/remove-installation.ts';

const SETTINGS = { vhost: '/', requestVhost: 'pulse-agent', eventVhost: '/', agentUser: 'agent' };

const REQUESTS: NonNullable<InstallationOnBroker['requestVhost']> = {
  isOwn: true,
  queues: ['queue/pulse-agent/v1/requests'],
  exchanges: ['rpc/pulse-agent/v1'],
  policies: ['pulse-agent-v1-rpc'],
  hasPermissions: true,
  foreign: [],
};

const ALL: InstallationOnBroker = {
  operatorPolicies: ['pulse-agent-v1-backstop'],
  exchanges: ['exchange/pulse-agent/v1/events'],
  eventQueues: ['queue/pulse-agent/v1/broker-events'],
  eventPolicies: ['pulse-agent-v1-broker-events'],
  requestVhost: REQUESTS,
  claimant: 'pulse-agent-claimant',
  markers: ['pulse-agent-id.pulse-agent'],
  accounts: ['taskcluster-a-1'],
  namespaceQueues: ['queue/taskcluster-a/x'],
  exemptQueues: [],
  namespaceExchanges: ['exchange/taskcluster-a/x'],
  foreignUsers: [],
};

function planOf(found: Partial<InstallationOnBroker>, options: Partial<UninstallOptions> = {}): UninstallPlan {
  const wanted = { namespaces: false, requestVhost: false, ...options };
  return planUninstall({ ...ALL, ...found }, SETTINGS, wanted, 'lmdb:/var/lib/pulse-agent');
}

function namesOf({ steps }: UninstallPlan): string[] {
  return steps.flatMap(({ kind, names }) => names.map((name) => `${kind} ${name}`));
}

describe('the plan of an uninstallation', () => {
  it('removes what agents made for themselves, the marker last, and leaves namespaces', () => {
    assert.deepEqual(namesOf(planOf({})), [
      'user pulse-agent-claimant',
      'operator policy pulse-agent-v1-backstop',
      'exchange exchange/pulse-agent/v1/events',
      'queue queue/pulse-agent/v1/broker-events',
      'policy pulse-agent-v1-broker-events',
      'vhost pulse-agent',
      'global parameter pulse-agent-id.pulse-agent',
    ]);
    const left = planOf({}).left.map(({ what }) => what);
    assert.deepEqual(left, [
      'the store lmdb:/var/lib/pulse-agent',
      'settings, secrets and variables of the agents',
      'the user agent',
      '1 account, 1 queue, 1 exchange of namespaces',
    ]);
  });

  it('with namespaces, removes the accounts first, so that no client declares anything again', () => {
    assert.deepEqual(namesOf(planOf({}, { namespaces: true })).slice(0, 4), [
      'user pulse-agent-claimant',
      'user taskcluster-a-1',
      'queue queue/taskcluster-a/x',
      'exchange exchange/taskcluster-a/x',
    ]);
  });

  it('leaves queues that are exempt, and says how to end that', () => {
    const exemptQueues = ['queue/taskcluster-a/wanted'];
    const plan = planOf({ exemptQueues }, { namespaces: true });
    assert.ok(!namesOf(plan).some((name) => name.includes('wanted')));
    assert.match(JSON.stringify(plan.left), /queues queue\/taskcluster-a\/wanted.*exempt <queue> --end/);
    assert.match(JSON.stringify(planOf({ exemptQueues }).left), /1 account, 2 queues, 1 exchange/);
  });

  it('keeps a vhost of requests that agents did not create, or that has foreign things, and empties it of their own', () => {
    for (const requestVhost of [
      { ...REQUESTS, isOwn: false },
      { ...REQUESTS, foreign: ['queue theirs'] },
    ]) {
      const plan = planOf({ requestVhost });
      assert.deepEqual(namesOf(plan).slice(5, 9), [
        'queue queue/pulse-agent/v1/requests',
        'exchange rpc/pulse-agent/v1',
        'policy pulse-agent-v1-rpc',
        'permissions agent',
      ]);
      const why = plan.left.find(({ what }) => what === 'the vhost pulse-agent')?.why ?? '';
      assert.match(why, requestVhost.isOwn ? /no agent made \(queue theirs\)/ : /no agent created it/);
      const forced = planOf({ requestVhost }, { requestVhost: true });
      assert.ok(namesOf(forced).includes('vhost pulse-agent'));
    }
  });

  it('removes nothing where nothing is, and names users of others', () => {
    const none = { operatorPolicies: [], exchanges: [], eventQueues: [], eventPolicies: [], markers: [], accounts: [] };
    const found = {
      ...none,
      namespaceQueues: [],
      namespaceExchanges: [],
      requestVhost: undefined,
      claimant: undefined,
    };
    const plan = planOf({ ...found, foreignUsers: ['taskcluster-b-1'] }, { namespaces: true });
    assert.deepEqual(plan.steps, []);
    assert.deepEqual(plan.left.at(-1), {
      what: 'users taskcluster-b-1',
      why: 'no agent of this store made them',
    });
  });
});

describe('the removal of an installation', () => {
  it('goes on after a failure, reports it, and keeps the marker', async () => {
    const called: string[] = [];
    const call = async (name: string): Promise<boolean> => {
      called.push(name);
      if (name === 'pulse-agent-v1-backstop') throw new Error('refused');
      return await Promise.resolve(name !== 'pulse-agent');
    };
    const inVhost = (_vhost: string, name: string): Promise<boolean> => call(name);
    const management = {
      deleteUser: call,
      deleteVhost: call,
      deleteGlobalParameter: call,
      deleteQueue: inVhost,
      deleteExchange: inVhost,
      deletePolicy: inVhost,
      deleteOperatorPolicy: inVhost,
      deletePermissions: inVhost,
    };
    const seen: StepOutcome[] = [];
    const options = { concurrency: 2, onOutcome: (outcome: StepOutcome) => void seen.push(outcome) };
    const { steps } = planOf({}, { namespaces: true });
    const outcomes = await removeInstallation(management, steps, options, new AbortController().signal);
    assert.deepEqual(seen, outcomes);
    const failed = outcomes.filter(({ faults }) => faults.length > 0);
    assert.deepEqual(
      failed.map(({ step }) => step.kind),
      ['operator policy'],
    );
    assert.deepEqual(
      outcomes.filter(({ isKept }) => isKept).map(({ step }) => step.kind),
      ['global parameter'],
    );
    assert.deepEqual(
      called,
      namesOf({ steps, left: [] })
        .map((name) => name.replace(/^(operator policy|global parameter|\S+) /, ''))
        .slice(0, -1),
    );
  });
});
