import type { QuorumQueue } from '../broker/management/queue-members.ts';
import { formatInstant } from '../contract/fields.ts';
import { type AgentRecord, isCurrent, lostAgents } from '../store/agent-records.ts';
import type { QueueAlert, QueueAlertLevel } from '../store/queue-alert-records.ts';
import { type AssessedParts, findingsOf } from './status-findings.ts';
import type {
  AgentState,
  AgentStatus,
  InstallationStatus,
  JobStatus,
  ManagementStatus,
  NoAnswer,
  RequestQueueStatus,
  SecretStatus,
  StoreStatus,
} from './installation-status.ts';
import type { AmqpReading, PartAnswer, BrokerReading, InstallationReading, StoreReading } from './read-installation.ts';

/** The alerts that are named; there may be thousands. */
const MAX_ALERTS = 10;

/** A job may wait, and run, for this long beyond its pause, in ms. */
const JOB_GRACE_MS = 120_000;

/** Makes the status of one reading. What an agent says counts as long as its record is current. */
export function assessInstallation(
  id: string,
  reading: InstallationReading,
  { isProduction }: { readonly isProduction: boolean },
): InstallationStatus {
  const { atMs, store, broker, amqp } = reading;
  const read = 'value' in store ? store.value : undefined;
  const records = read?.agents ?? [];
  const running = records.filter((record) => isCurrent(record, atMs));
  const status: AssessedParts = {
    agents: read === undefined ? null : agentsOf(records, atMs),
    broker: { management: managementOf(broker), amqp: 'error' in amqp ? noAnswer(amqp) : { answers: true } },
    store: storeOf(store),
    requestQueue: requestQueueOf(broker, amqp),
    deadLetters: deadLettersOf(broker, amqp),
    secrets: read === undefined ? null : secretsOf(read, running),
    jobs: read === undefined ? null : jobsOf(running.length === 0 ? records : running, running, atMs),
    notices: read === undefined ? null : { waiting: read.noticesWaiting },
    alerts: read === undefined ? null : alertsOf(read.alerts),
  };
  const findings = findingsOf(status, reading, isProduction);
  const state = findings.some(({ level }) => level === 'down') ? 'down' : findings.length > 0 ? 'degraded' : 'well';
  return { state, at: formatInstant(atMs), id, findings, ...status };
}

function noAnswer({ error: { code, message } }: { readonly error: NoAnswer['error'] }): NoAnswer {
  return { answers: false, error: { code, message } };
}

/** The latest first. */
function agentsOf(records: readonly AgentRecord[], nowMs: number): AgentStatus[] {
  const lost = new Set(lostAgents(records, nowMs).map(({ instance }) => instance));
  return records
    .toSorted((a, b) => b.startedMs - a.startedMs)
    .map((record): AgentStatus => {
      const { instance, version, startedMs, seenMs, parts, secretIds } = record;
      const gone = lost.has(instance) ? 'lost' : 'replaced';
      const state = isCurrent(record, nowMs) ? stateOf(record) : gone;
      const [since, seen] = [formatInstant(startedMs), formatInstant(seenMs)];
      return { instance, version, state, since, seen, parts, secretIds };
    });
}

function stateOf({ ready, degraded, stopping, parts }: AgentRecord): AgentState {
  if (stopping) return 'stopping';
  if (ready) return degraded ? 'degraded' : 'ready';
  const required = Object.values(parts).filter((part) => part.required);
  return required.some(({ state }) => state === 'down') ? 'not-ready' : 'starting';
}

function storeOf(answer: PartAnswer<StoreReading>): StoreStatus {
  if ('error' in answer) return noAnswer(answer);
  const { kind, storeId, namespaces } = answer.value;
  return { answers: true, kind, storeId: storeId ?? null, namespaces };
}

function managementOf(answer: PartAnswer<BrokerReading>): ManagementStatus {
  if ('error' in answer) return noAnswer(answer);
  const { overview, nodes, alarms } = answer.value;
  const namesOf = (isRunning: boolean): string[] =>
    nodes.filter(({ running }) => running === isRunning).map(({ name }) => name);
  return {
    answers: true,
    version: overview.rabbitmqVersion,
    cluster: overview.clusterName,
    nodes: { running: namesOf(true), missing: namesOf(false) },
    alarms,
  };
}

function requestQueueOf(broker: PartAnswer<BrokerReading>, amqp: PartAnswer<AmqpReading>): RequestQueueStatus {
  const places = 'value' in broker ? broker.value.requestQueue : undefined;
  const counts = 'value' in amqp && hasCounts(places) ? amqp.value.requests : undefined;
  return {
    messages: counts?.messages ?? null,
    consumers: counts?.consumers ?? null,
    leader: places?.leader ?? null,
    members: places?.members ?? null,
    online: places?.online ?? null,
  };
}

function deadLettersOf(broker: PartAnswer<BrokerReading>, amqp: PartAnswer<AmqpReading>): number | null {
  const places = 'value' in broker ? broker.value.deadQueue : undefined;
  return 'value' in amqp && hasCounts(places) ? (amqp.value.dead?.messages ?? null) : null;
}

/** Of a quorum queue without a leader RabbitMQ says that it has no messages and no consumers. */
function hasCounts(places: QuorumQueue | undefined): boolean {
  return places === undefined || places.leader !== undefined;
}

function secretsOf(
  { secrets, sightings }: StoreReading,
  running: readonly AgentRecord[],
): InstallationStatus['secrets'] {
  const needed = [...secrets.namespaces].map(([secretId, namespaces]): SecretStatus => {
    const holders = running.filter(({ secretIds }) => secretIds.includes(secretId));
    const { heldMs = null, missingMs = null } = sightings.get(secretId) ?? {};
    const heldBy = holders.map(({ instance }) => instance);
    return { secretId, namespaces, heldBy, lastHeld: instantOf(heldMs), missingSince: instantOf(missingMs) };
  });
  return { at: formatInstant(secrets.atMs), needed: needed.toSorted((a, b) => b.namespaces - a.namespaces) };
}

/**
 * The latest runs that any agent knows of. A job without a success that is known is late once an agent has run for long
 * enough to do it.
 */
function jobsOf(records: readonly AgentRecord[], running: readonly AgentRecord[], nowMs: number): JobStatus[] {
  const names = [...new Set(records.flatMap(({ jobs }) => Object.keys(jobs)))];
  const firstStartMs = Math.min(...running.map(({ startedMs }) => startedMs));
  return names.map((job): JobStatus => {
    const runs = records.flatMap(({ jobs }) => jobs[job] ?? []);
    const everyMs = Math.max(...runs.map((run) => run.everyMs));
    const succeeded = latest(runs.map((run) => run.succeeded));
    const failed = latest(runs.map((run) => run.failed));
    const error = runs.find((run) => run.failed === failed)?.error ?? null;
    const sinceMs = Math.max(succeeded === null ? -Infinity : Date.parse(succeeded), firstStartMs);
    const late = running.length > 0 && nowMs - sinceMs > 2 * everyMs + JOB_GRACE_MS;
    return { job, everySeconds: everyMs / 1000, succeeded, failed, error: failed === null ? null : error, late };
  });
}

function instantOf(ms: number | null): string | null {
  return ms === null ? null : formatInstant(ms);
}

/** Instants in ISO 8601 sort as text. */
function latest(instants: readonly (string | undefined)[]): string | null {
  return instants.reduce<string | null>((last, one) => (one !== undefined && one > (last ?? '') ? one : last), null);
}

function alertsOf(alerts: readonly QueueAlert[]): NonNullable<InstallationStatus['alerts']> {
  const levels: Partial<Record<QueueAlertLevel, number>> = {};
  for (const { level } of alerts) levels[level] = (levels[level] ?? 0) + 1;
  const newest = alerts.toSorted((a, b) => b.changedMs - a.changedMs).slice(0, MAX_ALERTS);
  return {
    levels,
    queues: newest.map(({ queue, level, changedMs }) => ({ queue, level, since: formatInstant(changedMs) })),
  };
}
