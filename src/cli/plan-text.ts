import { formatInstant } from '../contract/fields.ts';
import { groupSteps, type StepGroup } from '../plan/group-steps.ts';
import type { PlannedStep } from '../plan/plan-namespaces.ts';
import type { PlannedQueue } from '../plan/plan-queues.ts';
import type { Plan } from '../plan/plan.ts';
import type { QueueReport } from '../queues/queue-report.ts';
import { instantToSecond } from './amounts.ts';
import { formatDuration } from './format-duration.ts';
import type { Style } from './output.ts';
import { amountsText, amountText, perMinuteText, whenText } from './queue-texts.ts';
import { table } from './table.ts';

/** What has been done to a queue at a threshold. */
const REACHED = { warn: 'warned of', delete: 'deleted', purge: 'purged', leave: 'left alone' } as const;

const ACTIONS: Readonly<Record<PlannedStep['action'], string>> = {
  rotate: 'rotate',
  'replace-secret': 'choose another secret',
  announce: 'announce expiry',
  delete: 'delete',
  recheck: 'check accounts',
};

const GROUPS: Readonly<Record<PlannedStep['action'], string>> = {
  rotate: 'rotations',
  'replace-secret': 'choices of another secret',
  announce: 'announcements of expiry',
  delete: 'more deletions',
  recheck: 'checks of accounts',
};

const QUEUE_ACTIONS: Readonly<Record<PlannedQueue['action'], string>> = {
  warn: 'warn owner',
  recover: 'clear alert',
  purge: 'purge',
  leave: 'leave',
  'warn-idle': 'warn of',
  expire: 'delete',
  delete: 'delete',
  resume: 'continue',
  discard: 'drop old alert',
  keep: 'keep',
};

/** A plan for people. Steps of one kind are grouped unless `all`. */
export function planText(plan: Plan, all: boolean, style: Style): string {
  return [namespacesText(plan, all, style), repairsText(plan, style)].join('\n\n');
}

function namespacesText({ namespaces, fromMs, untilMs }: Plan, all: boolean, style: Style): string {
  if (namespaces.length === 0) return `No namespace needs work until ${formatInstant(untilMs)}.`;
  const { single, groups } = all ? { single: namespaces, groups: [] } : groupSteps(namespaces, fromMs);
  const within = formatDuration(untilMs - fromMs);
  const parts = groups.map((group) => groupText(group, within));
  if (groups.length > 0) parts.push(style.quiet('--all lists each of them.'));
  if (single.length === 0) return parts.join('\n');
  const rows = table(
    single,
    [
      { title: 'AT', text: ({ atMs }) => formatInstant(atMs) },
      { title: 'NAMESPACE', text: (step) => step.namespace },
      { title: 'ACTION', text: ({ action }) => ACTIONS[action] },
      { title: 'WHY', text: ({ why }) => why },
    ],
    style,
  );
  return parts.length === 0 ? rows : `${parts.join('\n')}\n\n${rows}`;
}

/** `63 rotations within 12 h, first at … (taskcluster-a), last at … (taskcluster-z)`. */
function groupText({ action, isDue, count, first, last }: StepGroup, within: string): string {
  const what = `${count} ${GROUPS[action]}`;
  if (isDue) return `${what} due now, first ${first.namespace}`;
  return `${what} within ${within}, first at ${at(first)}, last at ${at(last)}`;
}

function at({ atMs, namespace }: PlannedStep): string {
  return `${instantToSecond(atMs)} (${namespace})`;
}

function repairsText({ queues, warned, exemptions, broker, fromMs }: Plan, style: Style): string {
  const kept = new Set(queues.filter(({ action }) => action === 'keep').map(({ queue }) => queue));
  const rows = [
    ...queues.map(({ queue, action, why }) => ({ what: QUEUE_ACTIONS[action], subject: queue, why })),
    ...warned.map((report) => ({ what: 'owner is warned', subject: report.queue, why: warnedText(report, fromMs) })),
    ...exemptions
      .filter(({ queue }) => !kept.has(queue))
      .map(({ queue, untilMs }) => ({
        what: QUEUE_ACTIONS.keep,
        subject: queue,
        why: `an operator exempted it from deletion until ${formatInstant(untilMs)}`,
      })),
    ...broker.repairs.map(({ account, why }) => ({ what: 'repair', subject: account, why: why.join(', ') })),
    ...broker.connections.map(({ connection, namespace }) => ({
      what: 'close',
      subject: connection,
      why: `open for too long, by ${namespace}`,
    })),
    ...broker.changes
      .filter(({ call }) => call.startsWith('delete'))
      .map(({ call, subject }) => ({ what: call, subject, why: 'orphaned' })),
    ...broker.unknown.map((subject) => ({
      what: 'leave alone',
      subject,
      why: 'unknown account-like user',
    })),
  ];
  if (rows.length === 0) return 'No drift on the broker, and no queue exceeds its threshold.';
  return table(
    rows,
    [
      { title: 'NOW', text: ({ what }) => what },
      { title: 'WHAT', text: ({ subject }) => subject },
      { title: 'WHY', text: ({ why }) => why },
    ],
    style,
  );
}

/** `since …, 4500 messages, +120 a minute; deleted at 8000: in 29 min, at …`. */
function warnedText(report: QueueReport, nowMs: number): string {
  const { warnedMs, next, messagesPerMinute } = report;
  const facts = [
    ...(warnedMs === undefined ? [] : [`since ${instantToSecond(warnedMs)}`]),
    amountsText(report),
    messagesPerMinute === undefined ? 'growth unknown' : `${perMinuteText(messagesPerMinute)} a minute`,
  ].join(', ');
  if (next === undefined) return facts;
  // The growth was measured for some seconds after the plan began: what was reached then is not in the future.
  const isReached = (report[next.unit] ?? 0) >= next.at;
  const when = isReached ? 'now' : whenText(report, nowMs);
  return `${facts}; ${REACHED[next.action]} at ${amountText(next.at, next.unit)}: ${when}`;
}
