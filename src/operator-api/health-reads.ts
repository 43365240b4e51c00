import type { ClusterWatch } from '../broker/cluster.ts';
import type { ShownConfiguration } from '../config/shown-settings.ts';
import type { AgentContext } from '../context.ts';
import { formatInstant } from '../contract/fields.ts';
import type { Health, PartReport } from '../observe/health.ts';
import type { RiskyChoice } from '../observe/risky-choices.ts';
import type { AgentStatus, Finding, JobStatus } from '../status/installation-status.ts';
import type { AgentRecord, RecordedPart } from '../store/agent-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { VERSION } from '../version.ts';
import type { EndpointReads } from './endpoint.ts';
import type { AgentRow, FindingView, JobView, OverviewAnswer, PartView } from './health-schemas.ts';
import type { QueueTable } from './queue-table.ts';
import { type Snapshot, valueOrUnknown } from './snapshot.ts';
import type { StatusSnapshot } from './status-snapshot.ts';

/** What the health of the installation is read from. */
export interface HealthReadParts extends Pick<AgentContext, 'config' | 'instance' | 'clock'> {
  readonly store: Pick<StoreReader, 'kind'>;
  readonly status: Pick<Snapshot<StatusSnapshot>, 'get'>;
  readonly queues: Snapshot<QueueTable>;
  readonly cluster: Pick<ClusterWatch, 'status'>;
  readonly health: Pick<Health, 'report'>;
  readonly startedMs: number;
  readonly risks: () => readonly RiskyChoice[];
  /** The settings with which the agent started; undefined: it was not started with files and variables. */
  readonly shown: ShownConfiguration | undefined;
}

const SURVEY = 'survey-queues';

/** Reads the overview. Without depths of queues it is answered all the same. */
export function createReadOverview(parts: HealthReadParts): EndpointReads['overview'] {
  const { config, instance, store, cluster, status: snapshot, queues } = parts;
  return async () => {
    const [{ status, agents }, table] = await Promise.all([snapshot.get(), valueOrUnknown(queues)]);
    const survey = status.jobs?.find(({ job }) => job === SURVEY);
    return {
      at: status.at,
      agent: { id: config.id, instance, version: VERSION },
      state: status.state,
      ...(status.agents === null ? {} : { agents: status.agents.map(agentRow) }),
      broker: brokerView(status, cluster.status.is),
      store: { kind: store.kind, answers: status.store.answers },
      findings: status.findings.map(findingView),
      ...(status.store.answers ? { namespaces: heldCounts(status.store.namespaces) } : {}),
      ...(table === undefined ? {} : { queues: queueCounts(table) }),
      ...(status.notices === null ? {} : { noticesWaiting: status.notices.waiting }),
      ...(status.deadLetters === null ? {} : { deadLetters: status.deadLetters }),
      ...(survey === undefined ? {} : { survey: jobViewOf(survey, agents) }),
    };
  };
}

/** Reads the parts, jobs and settings. */
export function createReadHealth(parts: HealthReadParts): EndpointReads['health'] {
  const { config, instance, clock, status: snapshot, health, startedMs, risks, shown } = parts;
  return async () => {
    const { status, agents } = await snapshot.get();
    const { parts: own } = health.report();
    return {
      at: formatInstant(clock.nowMs()),
      agent: { id: config.id, instance, version: VERSION },
      uptimeSeconds: Math.floor((clock.monotonicMs() - startedMs) / 1000),
      node: process.versions.node,
      ...(status.agents === null
        ? {}
        : { agents: status.agents.map((agent) => ({ ...agentRow(agent), parts: partViews(agent.parts) })) }),
      parts: partViews(own),
      ...(status.jobs === null ? {} : { jobs: status.jobs.map((job) => jobViewOf(job, agents)) }),
      risks: risks().map(({ choice, sentence }) => ({ choice, sentence })),
      ...(shown === undefined ? {} : { settings: shown.settings.map(settingView) }),
    };
  };
}

function agentRow({ instance, version, state, since, seen }: AgentStatus): AgentRow {
  return { instance, version, state, started: since, seen };
}

function brokerView(
  { broker: { management } }: StatusSnapshot['status'],
  state: OverviewAnswer['broker']['state'],
): OverviewAnswer['broker'] {
  if (!management.answers) return { answers: false, state };
  const { version, cluster, nodes, alarms } = management;
  return {
    answers: true,
    version,
    cluster,
    state,
    running: [...nodes.running],
    missing: [...nodes.missing],
    alarms: alarms.map(({ alarm, node }) => ({ alarm, node })),
  };
}

function heldCounts({ provisioning, active, expiring }: Record<'provisioning' | 'active' | 'expiring', number>) {
  return { provisioning, active, expiring };
}

function queueCounts({ total, warned, deleting, messages }: QueueTable) {
  return { total, warned, deleting, messages };
}

function findingView({ level, about, since, said, remedy, agents }: Finding): FindingView {
  return {
    level,
    about,
    ...(since === null ? {} : { since }),
    said,
    ...(remedy === null ? {} : { remedy }),
    agents: [...agents],
  };
}

function partViews(parts: Readonly<Record<string, RecordedPart | PartReport>>): PartView[] {
  return Object.entries(parts).map(([part, { state, since, required, reason }]) => ({
    part,
    state,
    since,
    isRequired: required,
    ...(reason === undefined ? {} : { reason }),
  }));
}

/** A job, with the latest run that an agent knows of. */
function jobViewOf(
  { job, everySeconds, succeeded, failed, error, late }: JobStatus,
  agents: readonly AgentRecord[] | undefined,
): JobView {
  const latest = [succeeded, failed]
    .filter((instant) => instant !== null)
    .toSorted()
    .at(-1);
  const run = (agents ?? [])
    .map((record) => record.jobs[job]?.run)
    .find((recorded) => recorded !== undefined && recorded.ended === latest);
  const runBy = latest === undefined ? undefined : formatInstant(Date.parse(latest) + everySeconds * 1000);
  return {
    job,
    everySeconds,
    ...(succeeded === null ? {} : { succeeded }),
    ...(failed === null ? {} : { failed }),
    ...(error === null ? {} : { error }),
    ...(latest === undefined ? {} : { outcome: latest === succeeded ? 'ok' : 'failed' }),
    ...(run === undefined ? {} : { seconds: run.tookMs / 1000, by: run.instance }),
    ...(runBy === undefined ? {} : { dueBy: runBy }),
    isLate: late,
  };
}

function settingView({ name, value, from }: ShownConfiguration['settings'][number]) {
  // What is shown is of YAML: JSON has a form for all of it.
  return { name, value: JSON.parse(JSON.stringify(value ?? null)) as null, from };
}
