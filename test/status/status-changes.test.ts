import assert from 'node:assert/strict';
import type { AgentStatus, InstallationStatus } from '../../src/status/installation-status.ts';
import { followChanges, type StatusFacts } from '../../src/status/status-changes.ts';

const AT = '2026-11-24T12:00:00.000Z';
const AWAY = { answers: false, error: { code: 'StoreUnavailable', message: 'By a test.' } } as const;

const agent = (instance: string, given: Partial<AgentStatus> = {}): AgentStatus => ({
  instance,
  version: '0.1.0',
  state: 'ready',
  since: AT,
  seen: AT,
  parts: { statistics: { state: 'up', since: AT, required: false } },
  secretIds: [],
  ...given,
});

const statusOf = (given: Partial<InstallationStatus> = {}): InstallationStatus => ({
  state: 'well',
  at: AT,
  id: 'pulse-agent',
  findings: [],
  agents: [agent('a')],
  broker: { management: AWAY, amqp: AWAY },
  store: {
    answers: true,
    kind: 'lmdb',
    storeId: 'id',
    namespaces: { provisioning: 0, active: 0, expiring: 0, deleted: 0 },
  },
  requestQueue: { messages: null, consumers: null, leader: null, members: null, online: null },
  deadLetters: null,
  secrets: null,
  jobs: null,
  notices: null,
  alerts: null,
  ...given,
});

describe('the changes of a status', () => {
  const first = followChanges(new Map(), statusOf()).facts;
  const changesTo = (given: Partial<InstallationStatus>, known: StatusFacts = first) =>
    followChanges(known, statusOf(given)).changes;

  it('are none while only instants, counts and reasons move on', () => {
    assert.deepEqual(changesTo({ at: '2026-11-24T12:00:02.000Z', agents: [agent('a', { seen: 'later' })] }), []);
    const parts = (reason: string) => ({ statistics: { state: 'down', since: AT, required: false, reason } }) as const;
    const before = followChanges(first, statusOf({ agents: [agent('a', { parts: parts('for 1 s') })] })).facts;
    assert.deepEqual(changesTo({ agents: [agent('a', { parts: parts('for 2 s') })] }, before), []);
  });

  it('say what was and what is, with the reason', () => {
    const parts = { statistics: { state: 'down', since: AT, required: false, reason: 'they are off' } } as const;
    assert.deepEqual(changesTo({ state: 'degraded', agents: [agent('a', { state: 'degraded', parts }), agent('b')] }), [
      { what: 'the installation', was: 'well', is: 'degraded' },
      { what: 'agent a', was: 'ready', is: 'degraded' },
      { what: 'statistics of a', was: 'up', is: 'down: they are off' },
      { what: 'agent b', was: null, is: 'ready' },
      { what: 'statistics of b', was: null, is: 'up' },
    ]);
    assert.deepEqual(changesTo({ agents: [] }), [
      { what: 'agent a', was: 'ready', is: null },
      { what: 'statistics of a', was: 'up', is: null },
    ]);
  });

  it('leave what is unknown as it was', () => {
    const away = { state: 'down', store: AWAY, agents: null } as const;
    const followed = followChanges(first, statusOf(away));
    assert.deepEqual(followed.changes, [
      { what: 'the installation', was: 'well', is: 'down' },
      { what: 'the store', was: 'answers', is: 'By a test.' },
    ]);
    assert.deepEqual(changesTo({}, followed.facts), [
      { what: 'the installation', was: 'down', is: 'well' },
      { what: 'the store', was: 'does not answer', is: 'answers' },
    ]);
  });
});
