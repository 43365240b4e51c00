import { formatInstant } from '../../contract/fields.ts';
import type { ResultBody } from '../../contract/methods.ts';
import { accountNames } from '../../namespaces/accounts/account-names.ts';
import type { ReadableNamespace } from '../../namespaces/read-namespaces.ts';
import type { DescribedQueue, DescribedQueues, NamespaceObservation } from '../../queues/observe-namespace.ts';
import {
  alertState,
  limitsValue,
  type QueueReportConfig,
  reportQueue,
  thresholdView,
} from '../../queues/queue-report.ts';
import type { AuditRecord } from '../../store/audit-records.ts';
import type { QueueAlert } from '../../store/queue-alert-records.ts';
import { isInForce, type QueueExemption } from '../../store/queue-exemption-records.ts';
import { holdingOf, publicView } from './namespace-views.ts';

type Description = ResultBody<'describe-namespace'>;

/** What is known of a namespace. */
export interface KnownNamespace extends NamespaceObservation {
  readonly record: ReadableNamespace;
  /** Those of all namespaces, by queue. */
  readonly alerts: ReadonlyMap<string, QueueAlert>;
  readonly exemptions: ReadonlyMap<string, QueueExemption>;
  /** The latest records of the namespace, the newest last. */
  readonly audit: readonly AuditRecord[];
}

/** The settings on which a description depends. */
export interface DescriptionConfig extends QueueReportConfig {
  readonly usernamePrefix: string;
}

type QueueView = NonNullable<Description['queues']>[number];
type AuditView = Description['audit'][number];

const MAX_ALERTS = 100;

/** The description for this client. It has no contact, and no name of anybody but the holder and the client. */
export function descriptionFor(
  clientId: string,
  known: KnownNamespace,
  config: DescriptionConfig,
  nowMs: number,
): Description {
  const { record, connections, queues, audit } = known;
  const { revokedUntilMs } = record;
  const isRefused = revokedUntilMs !== null && nowMs < revokedUntilMs;
  return {
    ...publicView(record),
    ...holdingOf(record),
    ...(isRefused ? { refusedUntil: formatInstant(revokedUntilMs) } : {}),
    ...(record.queueLimits === undefined ? {} : { queueLimits: record.queueLimits }),
    ...(connections === undefined ? {} : { connections }),
    ...(queues === undefined ? {} : queuesOf(queues, known, config, nowMs)),
    alerts: alertsOf(known),
    audit: audit.map((each) => auditView(each, clientId, record, config)).toReversed(),
  };
}

function queuesOf(
  { seenMs, queues, hasMore }: DescribedQueues,
  known: KnownNamespace,
  config: DescriptionConfig,
  nowMs: number,
) {
  return {
    observedAt: seenMs.map(formatInstant),
    queues: queues.map((queue) => queueView(queue, known, config, nowMs)),
    moreQueues: hasMore,
  };
}

function queueView(
  { name, ready, unacknowledged, consumers, growth, trend }: DescribedQueue,
  { record, alerts, exemptions }: KnownNamespace,
  config: DescriptionConfig,
  nowMs: number,
): QueueView {
  const exemption = exemptions.get(name);
  const records = {
    namespace: record.namespace,
    record,
    alert: alerts.get(name),
    exemption: exemption !== undefined && isInForce(exemption, nowMs) ? exemption : undefined,
  };
  const report = reportQueue(name, growth, records, config);
  const { state, messages, bytes, messagesPerMinute, bytesPerMinute, warnedMs, exemptUntilMs } = report;
  return {
    queue: name,
    state,
    ...present({ messages, ready, unacknowledged, bytes, consumers }),
    ...(messagesPerMinute === undefined || growth.messages?.earlier === undefined
      ? {}
      : { growingSince: formatInstant(growth.messages.earlier.seenMs) }),
    ...present({ messagesPerMinute: rounded(messagesPerMinute), bytesPerMinute: rounded(bytesPerMinute) }),
    ...(report.next === undefined ? {} : { next: thresholdView(report.next) }),
    ...(warnedMs === undefined ? {} : { warnedSince: formatInstant(warnedMs) }),
    ...(exemptUntilMs === undefined ? {} : { exemptUntil: formatInstant(exemptUntilMs) }),
    ...limitsValue(report.limits),
    trend: trend.map((amount) => amount ?? null),
  };
}

function rounded(perMinute: number | undefined): number | undefined {
  return perMinute === undefined ? undefined : Math.round(perMinute * 10) / 10;
}

/** Without the fields that are undefined. */
function present<Name extends string>(fields: Record<Name, number | undefined>): { [Each in Name]?: number } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Each in Name]?: number;
  };
}

function alertsOf({ record, alerts }: KnownNamespace): Description['alerts'] {
  const own = [...alerts.values()].filter(
    ({ namespace, incarnation }) => namespace === record.namespace && incarnation === record.incarnation,
  );
  return own
    .toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
    .flatMap(({ queue, level, changedMs, messages, bytes }) => {
      const state = alertState(level);
      if (state === 'watched') return [];
      return [{ queue, state, since: formatInstant(changedMs), messages, ...(bytes === null ? {} : { bytes }) }];
    })
    .slice(0, MAX_ALERTS);
}

/**
 * An audit record as an owner sees it. Operators, agents and other clients are named by their kind alone: who may describe a
 * namespace need not know who works for the installation, on which machine, or who held the namespace before. A connection
 * is left out, because its name has addresses, and so is what an operator wrote.
 */
function auditView(
  { atMs, action, actor, actorName, subject, outcome, reason }: AuditRecord,
  clientId: string,
  { namespace, claimedBy }: ReadableNamespace,
  { usernamePrefix }: DescriptionConfig,
): AuditView {
  const isNamed = actor === 'client' && (actorName === clientId || actorName === claimedBy);
  const isOwn =
    subject !== null &&
    (accountNames(usernamePrefix, namespace).includes(subject) ||
      ['queue', 'exchange'].some((kind) => subject.startsWith(`${kind}/${namespace}/`)));
  return {
    at: formatInstant(atMs),
    action,
    by: actor,
    ...(isNamed ? { clientId: actorName } : {}),
    ...(isOwn ? { subject } : {}),
    outcome,
    ...(actor === 'operator' ? {} : { reason }),
  };
}
