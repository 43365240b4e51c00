import { PARTS, type PartName } from '../../src/observe/health.ts';
import { evaluateRules, promtoolOrSkip, type Series } from '../support/prometheus-rules.ts';

const RULES = 'config/monitoring/prometheus-alerts.yml';

/** What one agent reports. */
interface Reported {
  readonly down: readonly PartName[];
  readonly cluster: 'whole' | 'incomplete' | 'split' | 'unknown';
  readonly nodes: { readonly running: number; readonly missing: number } | undefined;
  readonly replicasOnline: number | undefined;
  readonly lostAgents: number;
  readonly deadLetters: number | undefined;
  readonly memoryAlarms: number | undefined;
  readonly queuesWarned: number;
  readonly missingSecret: boolean;
  readonly failedNotices: number;
  /** Whether recurring jobs succeed. */
  readonly works: boolean;
  /** Whether calls of the management API fail. */
  readonly callsFail: boolean;
}

const HEALTHY: Reported = {
  down: [],
  cluster: 'whole',
  nodes: { running: 3, missing: 0 },
  replicasOnline: 3,
  lostAgents: 0,
  deadLetters: 0,
  memoryAlarms: 0,
  queuesWarned: 0,
  missingSecret: false,
  failedNotices: 0,
  works: true,
  callsFail: false,
};

/** What an agent reports that does not reach RabbitMQ, as test/docs/monitoring.test.ts finds it. */
const WITHOUT_BROKER: Partial<Reported> = {
  down: [
    'management',
    'topology',
    'requests',
    'round-trip',
    'replies',
    'alarms',
    'cluster',
    'broker-events',
    'replicas',
  ],
  cluster: 'unknown',
  nodes: undefined,
  replicasOnline: undefined,
  deadLetters: undefined,
  memoryAlarms: undefined,
  works: false,
  callsFail: true,
};

/** What an agent reports minute by minute; undefined while it does not run. */
type History = (minute: number) => Partial<Reported> | undefined;

/** The series of these agents, by name with labels. */
function seriesOf(agents: readonly History[], minutes: number): Record<string, Series> {
  const series = new Map<string, (number | undefined)[]>();
  for (const [index, history] of agents.entries()) {
    const counters = { failures: 0, successAt: 0 };
    for (let minute = 0; minute < minutes; minute += 1) {
      const given = history(minute);
      if (given === undefined) continue;
      for (const [name, value] of Object.entries(samplesOf({ ...HEALTHY, ...given }, minute, counters))) {
        const [metric = '', labels = ''] = name.split('|');
        const key = `${metric}{job="pulse-agent",instance="agent-${index + 1}:8080"${labels === '' ? '' : `,${labels}`}}`;
        const values = series.get(key) ?? Array.from<number | undefined>({ length: minutes });
        values[minute] = value;
        series.set(key, values);
      }
    }
  }
  return Object.fromEntries(series);
}

function samplesOf(
  reported: Reported,
  minute: number,
  counters: { failures: number; successAt: number },
): Record<string, number> {
  const { down, nodes, replicasOnline, lostAgents, deadLetters, memoryAlarms } = reported;
  if (reported.works) counters.successAt = minute * 60;
  if (reported.callsFail) counters.failures += 30;
  const isReady = down.every((part) => !PARTS[part].required);
  const samples: Record<string, number> = {
    'pulse_agent_info|version="1",store="mongodb"': 1,
    pulse_agent_ready: isReady ? 1 : 0,
    'pulse_agent_management_duration_seconds_count|operation="listAlarms",outcome="BrokerUnavailable"':
      counters.failures,
    'pulse_agent_job_duration_seconds_count|job_name="reconcile-broker",outcome="BrokerUnavailable"': counters.failures,
    'pulse_agent_events_total|type="namespace.failing"': counters.failures,
    'pulse_agent_events_total|type="notice.failed"': reported.failedNotices,
    'pulse_agent_request_duration_seconds_count|method="ping",outcome="result"': minute * 10,
    'pulse_agent_request_duration_seconds_count|method="claim-namespace",outcome="Unavailable"': counters.failures,
    'pulse_agent_queue_alerts|level="warned"': reported.queuesWarned,
    'pulse_agent_queue_alerts|level="recovering"': 3,
    [`pulse_agent_secret_namespaces|secret_id="k1",held="${!reported.missingSecret}"`]: 7,
    pulse_agent_notices_waiting: 0,
  };
  for (const part of Object.keys(PARTS) as PartName[]) {
    samples[`pulse_agent_part_up|part="${part}"`] = down.includes(part) ? 0 : 1;
  }
  for (const state of ['whole', 'incomplete', 'split', 'restoring', 'unknown']) {
    samples[`pulse_agent_cluster|state="${state}"`] = state === reported.cluster ? 1 : 0;
  }
  for (const job of ['rotate-namespaces', 'expire-namespaces', 'reconcile-broker', 'survey-queues']) {
    samples[`pulse_agent_job_last_success_timestamp_seconds|job_name="${job}"`] = counters.successAt;
  }
  if (nodes !== undefined) {
    samples['pulse_agent_broker_nodes|state="running"'] = nodes.running;
    samples['pulse_agent_broker_nodes|state="missing"'] = nodes.missing;
  }
  for (const queue of replicasOnline === undefined ? [] : ['requests', 'dead', 'broker-events']) {
    samples[`pulse_agent_queue_replicas|queue="${queue}"`] = 3;
    samples[`pulse_agent_queue_replicas_online|queue="${queue}"`] = replicasOnline ?? 0;
  }
  samples['pulse_agent_agents|state="lost"'] = lostAgents;
  if (deadLetters !== undefined) samples['pulse_agent_queue_messages|queue="dead"'] = deadLetters;
  if (memoryAlarms !== undefined) samples['pulse_agent_broker_alarms|alarm="memory"'] = memoryAlarms;
  return samples;
}

/** The same as `usual`, and as `meanwhile` from one minute to another. */
function between(
  from: number,
  to: number,
  meanwhile: Partial<Reported> | undefined,
  usual: Partial<Reported> = {},
): History {
  return (minute) => (minute >= from && minute < to ? meanwhile : usual);
}

describe('config/monitoring/prometheus-alerts.yml, evaluated by Prometheus', function () {
  this.timeout(120_000);
  let promtool: string;

  before('find promtool', async function () {
    promtool = await promtoolOrSkip(this);
  });

  /** What fires at these minutes, and that nothing else ever fires; each alert once. */
  const fires = async (
    agents: readonly History[],
    minutes: number,
    at: Readonly<Record<number, readonly string[]>>,
  ): Promise<void> => {
    const once = (names: readonly string[]) => Object.fromEntries(names.map((name) => [`{alertname="${name}"}`, 1]));
    const firing = 'ALERTS{alertstate="firing"}';
    const ever = new Set(Object.values(at).flat());
    await evaluateRules(promtool, RULES, seriesOf(agents, minutes), [
      ...Object.entries(at).map(([minute, names]) => ({
        expr: `count by (alertname) (${firing})`,
        minute: Number(minute),
        samples: once(names),
      })),
      {
        expr: `count by (alertname) (count_over_time(${firing}[${minutes}m]))`,
        minute: minutes - 1,
        samples: once([...ever]),
      },
    ]);
  };

  it('nothing fires where nothing happens', async () => {
    await fires([between(0, 0, {}), between(0, 0, {})], 120, { 119: [] });
  });

  it('one outage of RabbitMQ, of any length, is one alert, with all of its effects', async () => {
    for (const end of [20, 70, 130]) {
      const outage = between(10, end, WITHOUT_BROKER);
      await fires([outage, outage, outage], end + 90, { 15: ['PulseAgentBrokerAway'], [end + 1]: [] });
    }
  });

  it('so is an outage of the management API alone, of the store, of Taskcluster, an alarm, a split', async () => {
    const withoutManagement: Partial<Reported> = {
      ...WITHOUT_BROKER,
      down: ['management', 'alarms', 'cluster', 'replicas'],
      deadLetters: 0,
    };
    const outages: readonly (readonly [string, Partial<Reported>])[] = [
      ['PulseAgentManagementAway', withoutManagement],
      ['PulseAgentStoreAway', { down: ['store', 'jobs', 'deletions'], works: false, callsFail: true }],
      ['PulseAgentTaskclusterAway', { down: ['auth'], callsFail: true }],
      ['PulseAgentBrokerAlarm', { down: ['alarms', 'round-trip'], memoryAlarms: 1, works: false }],
      [
        'PulseAgentClusterSplit',
        {
          down: ['cluster', 'replicas', 'requests', 'round-trip'],
          cluster: 'split',
          nodes: { running: 1, missing: 2 },
          replicasOnline: 1,
          works: false,
        },
      ],
      ['PulseAgentQueueStopped', { down: ['replicas', 'round-trip'], replicasOnline: 1 }],
    ];
    for (const [alert, meanwhile] of outages) {
      const outage = between(10, 60, meanwhile);
      await fires([outage, outage], 150, { 20: [alert], 65: [] });
    }
  });

  it('one agent that is not ready, while the others are, is named', async () => {
    await fires([between(0, 0, {}), between(10, 40, { down: ['requests'] })], 90, {
      15: ['PulseAgentNotReady'],
      45: [],
    });
  });

  it('one of several agents is gone, until another one has started', async () => {
    const usual = between(20, 60, { lostAgents: 1 });
    const gone = between(20, 60, undefined);
    await fires([usual, gone], 90, { 19: [], 25: ['PulseAgentOneGone'], 59: ['PulseAgentOneGone'], 62: [] });
  });

  it('no agent is scraped', async () => {
    const stopped: History = (minute) => (minute < 60 ? {} : undefined);
    await fires([stopped, stopped], 90, { 59: [], 75: ['PulseAgentAbsent'] });
  });

  it('a majority is at risk with two nodes of three, and not with four of five', async () => {
    const meanwhile: Partial<Reported> = {
      down: ['replicas'],
      cluster: 'incomplete',
      nodes: { running: 2, missing: 1 },
      replicasOnline: 2,
    };
    const three = between(10, 60, meanwhile);
    await fires([three, three], 90, { 25: ['PulseAgentMajorityAtRisk'], 65: [] });
    const five = between(10, 60, { cluster: 'incomplete', nodes: { running: 4, missing: 1 } });
    await fires([five, five], 90, { 25: ['PulseAgentBrokerNodeMissing'], 65: [] });
  });

  it('a secret that no agent has, and one that only some have', async () => {
    const lacking = between(10, 100, { missingSecret: true });
    await fires([lacking, lacking], 120, { 25: ['PulseAgentSecretMissing'], 105: [] });
    await fires([lacking, between(0, 0, {})], 120, { 25: [], 80: ['PulseAgentSecretNotEverywhere'], 105: [] });
  });

  it('dead letters, for an hour after each; also where their queue is full', async () => {
    const some: History = (minute) => ({ deadLetters: minute < 10 ? 2 : 5 });
    await fires([some, some], 120, { 9: [], 11: ['PulseAgentDeadLetters'], 60: ['PulseAgentDeadLetters'], 75: [] });
    await fires([() => ({ deadLetters: 1000 })], 30, { 20: ['PulseAgentDeadLetters'] });
  });

  it('queues that were warned of', async () => {
    const warned = between(10, 40, { queuesWarned: 2 });
    await fires([warned, warned], 60, { 25: ['PulseAgentQueuesWarned'], 45: [] });
  });

  it('the first notice that fails', async () => {
    await fires([(minute) => ({ failedNotices: minute < 10 ? 0 : 1 })], 30, { 9: [], 12: ['PulseAgentNoticesFail'] });
  });
});
