import type {
  FindingView,
  HealthAnswer,
  JobView,
  OverviewAnswer,
  PartView,
  QueueRow,
} from '../../src/operator-api/schemas.ts';
import { noise } from './sample-amounts.ts';
import { iso, SAMPLE_SIZE } from './sample-installation.ts';

const MINUTE = 60_000;
const STARTED_MS = Date.now() - 50 * 60 * MINUTE;
const AGENT = { id: 'pulse-agent', instance: 'pulse-agent-0-1b2c3d4e', version: '0.1.0' };
const INSTANCES = [AGENT.instance, 'pulse-agent-1-77aa01fe', 'pulse-agent-2-c0ffee42'];
const PARTS = [
  'store',
  'management',
  'topology',
  'requests',
  'round-trip',
  'replies',
  'auth',
  'alarms',
  'jobs',
  'cluster',
  'broker-events',
  'statistics',
  'replicas',
  'deletions',
];
const REQUIRED_PARTS = 9;
const EVENTS_LOST_MS = Date.now() - 4 * MINUTE;

/** The overview of an installation in which one agent gets no broker events. */
export function sampleOverview(nowMs: number, queues: readonly QueueRow[]): OverviewAnswer {
  const sum = (amount: (row: QueueRow) => number): number => queues.reduce((all, row) => all + amount(row), 0);
  return {
    at: iso(nowMs),
    agent: AGENT,
    state: 'degraded',
    agents: INSTANCES.map((instance, index) => ({
      instance,
      version: AGENT.version,
      state: index === 1 ? 'degraded' : 'ready',
      started: iso(STARTED_MS - index * 7 * MINUTE),
      seen: iso(nowMs - 4000 - index * 3000),
    })),
    broker: {
      answers: true,
      version: '4.0.5',
      cluster: 'rabbit@pulse-1',
      state: 'whole',
      running: ['rabbit@pulse-1', 'rabbit@pulse-2', 'rabbit@pulse-3'],
      missing: [],
      alarms: [],
    },
    store: { kind: 'mongodb', answers: true },
    findings: sampleFindings(),
    namespaces: { provisioning: 2, active: SAMPLE_SIZE - 6, expiring: 4 },
    queues: {
      total: queues.length,
      warned: sum(({ state }) => (state === 'warned' ? 1 : 0)),
      deleting: 0,
      messages: sum(({ messages }) => messages ?? 0),
    },
    noticesWaiting: 1,
    deadLetters: 0,
    survey: sampleJob('survey-queues', 60, nowMs),
  };
}

function sampleFindings(): FindingView[] {
  return [
    {
      level: 'degraded',
      about: 'broker-events',
      since: iso(EVENTS_LOST_MS),
      said: 'no broker events arrive: the exchange amq.rabbitmq.event does not exist (1 of 3 agents)',
      remedy: 'Enable the plugin rabbitmq_event_exchange on all nodes of RabbitMQ.',
      agents: [INSTANCES[1] ?? ''],
    },
  ];
}

function sampleJob(job: string, everySeconds: number, nowMs: number): JobView {
  const seed = job.length + everySeconds;
  const ranMs = nowMs - ((nowMs / 1000 + seed) % everySeconds) * 1000;
  const hasFailed = job === 'send-notices';
  return {
    job,
    everySeconds,
    succeeded: iso(ranMs - (hasFailed ? everySeconds * 1000 : 0)),
    ...(hasFailed ? { failed: iso(ranMs), error: 'NotifyUnavailable' } : {}),
    outcome: hasFailed ? 'failed' : 'ok',
    seconds: 0.02 + noise(seed),
    by: INSTANCES[seed % 3] ?? AGENT.instance,
    dueBy: iso(ranMs + everySeconds * 1000),
    isLate: false,
  };
}

function sampleParts(nowMs: number, isDegraded: boolean): PartView[] {
  return PARTS.map((part, index) => ({
    part,
    state: isDegraded && part === 'broker-events' ? 'down' : 'up',
    since: iso(
      isDegraded && part === 'broker-events' ? EVENTS_LOST_MS : Math.min(nowMs, STARTED_MS + 2000 + index * 20),
    ),
    isRequired: index < REQUIRED_PARTS,
    ...(isDegraded && part === 'broker-events' ? { reason: 'the exchange amq.rabbitmq.event does not exist' } : {}),
  }));
}

/** The health of the same installation. */
export function sampleHealth(nowMs: number): HealthAnswer {
  const { agents = [] } = sampleOverview(nowMs, []);
  return {
    at: iso(nowMs),
    agent: AGENT,
    uptimeSeconds: Math.round((nowMs - STARTED_MS) / 1000),
    node: '20.19.0',
    agents: agents.map((agent) => ({ ...agent, parts: sampleParts(nowMs, agent.state === 'degraded') })),
    parts: sampleParts(nowMs, false),
    jobs: [
      ['survey-queues', 60],
      ['rotate-namespaces', 10],
      ['expire-namespaces', 30],
      ['reconcile-broker', 300],
      ['send-notices', 10],
      ['prune', 3600],
    ].map(([job, every]) => sampleJob(String(job), Number(every), nowMs)),
    risks: [{ choice: 'unencrypted-amqp', sentence: 'RABBITMQ_URL has no TLS: use amqps:// outside one machine.' }],
    settings: [
      { name: 'id', value: 'pulse-agent', from: 'config/default.yml' },
      { name: 'rotationIntervalSeconds', value: 3600, from: 'config/default.yml' },
      { name: 'warnAtMessages', value: 4000, from: 'config/production.yml' },
      { name: 'deleteAtMessages', value: 8000, from: 'config/production.yml' },
      { name: 'exemptQueues', value: ['queue/taskcluster-docs-*/index*'], from: 'config/production.yml' },
      { name: 'PULSE_AGENT_SECRET', value: 'set', from: 'the environment' },
    ],
  };
}
