import assert from 'node:assert/strict';
import { withOwnHealth } from '../../src/operator-api/status-snapshot.ts';
import type { HealthReport, PartReport } from '../../src/observe/health.ts';
import { assessInstallation } from '../../src/status/assess-installation.ts';
import type { InstallationReading } from '../../src/status/read-installation.ts';
import type { AgentRecord } from '../../src/store/agent-records.ts';

const READ_MS = Date.parse('2026-11-24T12:00:00.000Z');
const SEEN_MS = READ_MS + 40_000;
const SINCE = new Date(READ_MS + 5_000).toISOString();

const UP = { state: 'up', since: SINCE, required: true } as const;
const DOWN: PartReport = { ...UP, state: 'down', reason: 'ECONNREFUSED' };
const WELL: HealthReport = { ready: true, degraded: false, stopping: false, parts: { store: UP, management: UP } };

function recordOf(instance: string): AgentRecord {
  const parts = { store: UP, management: UP };
  const state = { ready: true, degraded: false, stopping: false, parts, jobs: {}, secretIds: [] };
  return { instance, revision: 1, version: '1.0.0', startedMs: READ_MS - 60_000, seenMs: READ_MS - 9_000, ...state };
}

/** All was well. */
const READING: InstallationReading = {
  atMs: READ_MS,
  store: {
    value: {
      kind: 'lmdb',
      setup: undefined,
      storeId: 'a-store',
      agents: [recordOf('own'), recordOf('other')],
      namespaces: { provisioning: 0, active: 3, expiring: 0, deleted: 0 },
      secrets: { atMs: READ_MS, namespaces: new Map() },
      sightings: new Map(),
      noticesWaiting: 0,
      alerts: [],
    },
  },
  broker: {
    value: {
      overview: { rabbitmqVersion: '4.0.5', clusterName: 'pulse' } as never,
      nodes: [{ name: 'rabbit@a', running: true } as never],
      alarms: [],
      requestQueue: undefined,
      deadQueue: undefined,
    },
  },
  amqp: { value: { requests: undefined, dead: undefined } },
};

function statusWith(report: HealthReport) {
  const reading = withOwnHealth(READING, report, { instance: 'own', seenMs: SEEN_MS });
  return assessInstallation('pulse-agent', reading, { isProduction: false });
}

const stateOf = ({ agents }: ReturnType<typeof statusWith>, instance: string) =>
  agents?.find((agent) => agent.instance === instance)?.state;

describe('the status that the page shows', () => {
  it('says that the agent reaches no broker, however old the reading is', () => {
    const status = statusWith({ ...WELL, ready: false, parts: { store: UP, management: DOWN } });
    assert.equal(status.state, 'down');
    assert.equal(status.broker.management.answers, false);
    assert.equal(stateOf(status, 'own'), 'not-ready');
    assert.equal(stateOf(status, 'other'), 'ready');
    assert.deepEqual(status.store, { ...status.store, answers: true });
  });

  it('says that the agent reaches no store', () => {
    const status = statusWith({ ...WELL, ready: false, parts: { store: DOWN, management: UP } });
    assert.equal(status.state, 'down');
    assert.equal(status.store.answers, false);
    assert.equal(status.broker.management.answers, true);
  });

  it('is of now for the agent itself', () => {
    const [own, other] = ['own', 'other'].map((instance) =>
      statusWith(WELL).agents?.find((agent) => agent.instance === instance),
    );
    assert.equal(own?.seen, new Date(SEEN_MS).toISOString());
    assert.equal(other?.seen, new Date(READ_MS - 9_000).toISOString());
    assert.equal(stateOf(statusWith({ ...WELL, degraded: true }), 'own'), 'degraded');
  });
});
