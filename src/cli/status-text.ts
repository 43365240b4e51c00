import {
  type AgentStatus,
  type Finding,
  type InstallationStatus,
  isRunning,
  type JobStatus,
  type ManagementStatus,
  type RequestQueueStatus,
  type SecretStatus,
  type StoreStatus,
} from '../status/installation-status.ts';
import type { StatusChange } from '../status/status-changes.ts';
import { counted } from '../util/counted.ts';
import { formatDuration } from './format-duration.ts';
import type { Style } from './output.ts';
import { printable, table } from './table.ts';

/** The addresses that the status is about, without credentials. */
export interface StatusPlaces {
  readonly broker: string;
  readonly store: string;
}

const STATE_STYLES = { well: 'good', degraded: 'doubtful', down: 'bad' } as const;
const STATE_TEXTS = { well: 'works', degraded: 'works with limits', down: 'does not work' } as const;

/** The status of an installation for people. */
export function installationText(status: InstallationStatus, places: StatusPlaces, style: Style): string {
  const { state, id, at, findings, agents, secrets, jobs } = status;
  const nowMs = Date.parse(at);
  const running = (agents ?? []).filter(isRunning).length;
  const parts = [
    `${style[STATE_STYLES[state]](`${id} ${STATE_TEXTS[state]}`)} ${style.quiet(`at ${at}`)}`,
    findings.map((finding) => findingLines(finding, style)).join('\n'),
    agents === null
      ? ''
      : agents.length === 0
        ? 'No agent has a record in this store.'
        : agentTable(agents, nowMs, style),
    summaryLines(status, places, style).join('\n'),
    secrets === null || secrets.needed.length === 0 ? '' : secretTable(secrets.needed, running, style),
    jobs === null || jobs.length === 0 ? '' : jobTable(jobs, nowMs, style),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** One line for a change. */
export function changeLine({ what, was, is }: StatusChange, at: string, style: Style): string {
  const before = was === null ? 'new' : `was ${was}`;
  return `${style.quiet(at)} ${printable(what)}: ${printable(is ?? 'gone')} ${style.quiet(`(${printable(before)})`)}`;
}

function findingLines({ level, about, since, said, remedy }: Finding, style: Style): string {
  const label = style[STATE_STYLES[level]](level.padEnd('degraded'.length));
  const when = since === null ? '' : style.quiet(` since ${since}`);
  const line = `${label}  ${about}${when}: ${printable(said)}`;
  return remedy === null
    ? line
    : `${line}\n${' '.repeat('degraded  '.length)}${style.heading('→')} ${printable(remedy)}`;
}

const AGENT_STATES = {
  ready: 'good',
  degraded: 'doubtful',
  'not-ready': 'bad',
  starting: 'doubtful',
  stopping: 'doubtful',
  lost: 'bad',
  replaced: 'quiet',
} as const;

function agentTable(agents: readonly AgentStatus[], nowMs: number, style: Style): string {
  return table(
    agents,
    [
      { title: 'AGENT', text: ({ instance }) => instance },
      { title: 'VERSION', text: ({ version }) => version },
      { title: 'SINCE', text: ({ since }) => since },
      {
        title: 'STATE',
        text: ({ state }) => state,
        style: (cell, { state }) => style[AGENT_STATES[state]](cell),
      },
      { title: 'SEEN', text: (agent) => seenText(agent, nowMs) },
      { title: 'NOT UP', text: (agent) => (isRunning(agent) ? notUp(agent.parts) : '') },
    ],
    style,
  );
}

function seenText(agent: AgentStatus, nowMs: number): string {
  return isRunning(agent) ? agoText(agent.seen, nowMs) : `not since ${agent.seen}`;
}

function notUp(parts: AgentStatus['parts']): string {
  return Object.entries(parts)
    .flatMap(([part, { state }]) => (state === 'up' ? [] : [part]))
    .join(', ');
}

function summaryLines(status: InstallationStatus, places: StatusPlaces, style: Style): string[] {
  const { broker, store, requestQueue, deadLetters, notices, alerts } = status;
  const rows: [string, string][] = [
    ['broker', brokerText(broker.management, broker.amqp.answers, places.broker)],
    ['store', storeText(store, places.store)],
    ['request queue', queueText(requestQueue)],
    ['dead letters', deadLetters === null ? 'unknown' : String(deadLetters)],
    ['notices', notices === null ? 'unknown' : `${notices.waiting} waiting`],
    ['queue alerts', alerts === null ? 'unknown' : alertsText(alerts)],
  ];
  return rows.map(([name, text]) => `${style.heading(name.padEnd('request queue'.length))}  ${printable(text)}`);
}

function brokerText(management: ManagementStatus, hasAmqp: boolean, place: string): string {
  const amqp = hasAmqp ? '' : '; it does not answer over AMQP';
  if (!management.answers) return `at ${place}; its management API does not answer${amqp}`;
  const { version, cluster, nodes, alarms } = management;
  const count = nodes.running.length + nodes.missing.length;
  const set = alarms.length === 0 ? 'no alarms' : `alarms: ${alarms.map(({ alarm }) => alarm).join(', ')}`;
  return `RabbitMQ ${version} at ${place}, cluster ${cluster}; ${nodes.running.length} of ${count} nodes run; ${set}${amqp}`;
}

function storeText(store: StoreStatus, place: string): string {
  if (!store.answers) return `${place}; it does not answer`;
  const { provisioning, active, expiring } = store.namespaces;
  return `${place}; namespaces: ${active} active, ${provisioning} provisioning, ${expiring} expiring`;
}

function queueText({ messages, consumers, leader, members, online }: RequestQueueStatus): string {
  const counts =
    messages === null || consumers === null
      ? 'depth unknown'
      : `${counted(messages, 'message')}, ${counted(consumers, 'consumer')}`;
  if (members === null) return `${counts}; leader unknown`;
  return `${counts}; leader ${leader ?? 'none'}; ${online?.length ?? 0} of ${members.length} replicas online`;
}

function alertsText({ levels, queues }: NonNullable<InstallationStatus['alerts']>): string {
  if (queues.length === 0) return 'none';
  const counts = Object.entries(levels).map(([level, count]) => `${count} ${level}`);
  return `${counts.join(', ')} (${queues.map(({ queue }) => queue).join(', ')})`;
}

function secretTable(secrets: readonly SecretStatus[], running: number, style: Style): string {
  return table(
    secrets,
    [
      { title: 'SECRET', text: ({ secretId }) => secretId },
      {
        title: 'NEEDED BY',
        text: ({ namespaces }) => counted(namespaces, 'namespace'),
      },
      {
        title: 'HELD BY',
        text: (secret) => holdersText(secret, running),
        style: (cell, { heldBy }) => (running > 0 && heldBy.length < running ? style.doubtful(cell) : cell),
      },
    ],
    style,
  );
}

function holdersText({ heldBy, lastHeld }: SecretStatus, running: number): string {
  if (heldBy.length === 0) return `no running agent${lastHeld === null ? '' : `; last at ${lastHeld}`}`;
  return heldBy.length === running ? `all ${running} agents` : heldBy.join(', ');
}

function jobTable(jobs: readonly JobStatus[], nowMs: number, style: Style): string {
  return table(
    jobs,
    [
      { title: 'JOB', text: ({ job }) => job },
      { title: 'EVERY', text: ({ everySeconds }) => formatDuration(everySeconds * 1000) },
      {
        title: 'LAST SUCCESS',
        text: ({ succeeded }) => (succeeded === null ? 'unknown' : agoText(succeeded, nowMs)),
        style: (cell, { late }) => (late ? style.doubtful(cell) : cell),
      },
      { title: 'FAILED SINCE THEN', text: (job) => failureText(job, nowMs) },
    ],
    style,
  );
}

function failureText({ succeeded, failed, error }: JobStatus, nowMs: number): string {
  return failed === null || failed <= (succeeded ?? '') ? '' : `${agoText(failed, nowMs)}: ${error}`;
}

function agoText(instant: string, nowMs: number): string {
  return `${formatDuration(Math.max(0, nowMs - Date.parse(instant)))} ago`;
}
