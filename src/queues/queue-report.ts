import { formatInstant } from '../contract/fields.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueAlert, QueueAlertLevel } from '../store/queue-alert-records.ts';
import type { QueueExemption } from '../store/queue-exemption-records.ts';
import { matchesAny, type NamePattern } from '../util/name-pattern.ts';
import { compareKeys, sortedBy, type SortKey, type SortOrder } from '../util/sorted-by.ts';
import { limitsOfQueue, type QueueLimits, type QueueLimitsConfig } from './queue-limits.ts';
import { forecastQueue, type NextThreshold, type QueueForecast, type QueueGrowth } from './forecast-queue.ts';

/**
 * - `watched`: its owner is warned when it grows too large.
 * - `warned`: its owner was warned; it is deleted when it grows further, unless an operator exempted it or its rule says
 *   otherwise.
 * - `deleting`: the agents delete or purge it now.
 * - `exempt`: a setting excludes it.
 * - `unclaimed`: no client holds its namespace, so it is not watched.
 */
export type QueueState = 'watched' | 'warned' | 'deleting' | 'exempt' | 'unclaimed';

/** A queue as operators see it. An amount that is undefined is unknown. */
export interface QueueReport extends QueueForecast {
  readonly queue: string;
  readonly namespace: string;
  readonly state: QueueState;
  readonly messages: number | undefined;
  readonly bytes: number | undefined;
  /** Since when its owner is warned, in ms since the epoch; undefined unless `warned`. */
  readonly warnedMs: number | undefined;
  /** Until when an operator exempted it from deletion, in ms since the epoch; absent: not. */
  readonly exemptUntilMs?: number;
  /** What it may hold, and by which rule. */
  readonly limits: QueueLimits;
}

/** The settings on which a report depends. */
export interface QueueReportConfig extends QueueLimitsConfig {
  readonly exemptQueues: readonly Pick<NamePattern, 'test'>[];
  readonly reservedNamespaces: readonly Pick<NamePattern, 'test'>[];
}

/** What is known of a queue besides its growth. */
export interface QueueRecords {
  readonly namespace: string;
  /** The record of that namespace. */
  readonly record: Pick<NamespaceRecord, 'state' | 'incarnation' | 'queueLimits'> | undefined;
  readonly alert: QueueAlert | undefined;
  /** The exemption that holds. */
  readonly exemption?: Pick<QueueExemption, 'untilMs'> | undefined;
}

/** What the agents do at the next threshold; undefined: nothing. */
function nextActionOf(
  state: QueueState,
  { alert, exemption }: Pick<QueueRecords, 'alert' | 'exemption'>,
  { onOvergrown }: QueueLimits,
): NextThreshold['action'] | undefined {
  if (state === 'watched') return 'warn';
  if (state !== 'warned' || alert?.idleSinceMs !== undefined) return undefined;
  if (onOvergrown === 'leave') return alert?.level === 'left' ? undefined : 'leave';
  return exemption === undefined ? onOvergrown : undefined;
}

/** Reports on a queue from what was observed of it and what the store has. */
export function reportQueue(
  queue: string,
  growth: QueueGrowth,
  { namespace, record, alert, exemption }: QueueRecords,
  config: QueueReportConfig,
): QueueReport {
  const state = stateOf(queue, { namespace, record, alert }, config);
  const limits = limitsOfQueue(config, queue, record);
  return {
    queue,
    namespace,
    state,
    messages: growth.messages?.latest.amount,
    bytes: growth.bytes?.latest.amount,
    warnedMs: state === 'warned' ? alert?.changedMs : undefined,
    ...(exemption === undefined ? {} : { exemptUntilMs: exemption.untilMs }),
    ...forecastQueue(growth, nextActionOf(state, { alert, exemption }, limits), limits),
    limits,
  };
}

function stateOf(
  queue: string,
  { namespace, record, alert }: QueueRecords,
  { exemptQueues, reservedNamespaces }: QueueReportConfig,
): QueueState {
  if (matchesAny(exemptQueues, queue) || matchesAny(reservedNamespaces, namespace)) return 'exempt';
  if (record?.state !== 'active' && record?.state !== 'provisioning') return 'unclaimed';
  // An alert of another incarnation is of another queue.
  if (alert?.incarnation !== record.incarnation) return 'watched';
  return alertState(alert.level);
}

/** The state of a queue with an alert of this level. */
export function alertState(level: QueueAlertLevel): 'watched' | 'warned' | 'deleting' {
  switch (level) {
    case 'warning':
    case 'warned':
    case 'leaving':
    case 'left':
      return 'warned';
    case 'over':
    case 'deleting':
    case 'deleted':
    case 'purging':
    case 'purged':
      return 'deleting';
    case 'recovering':
      return 'watched';
  }
}

/** Whether its owner was warned, or more. */
export function isInAlert({ state }: Pick<QueueReport, 'state'>): boolean {
  return state === 'warned' || state === 'deleting';
}

/** A threshold as clients and scripts get it; without `reachedAt` the rate is unknown. */
export function thresholdView({ action, unit, at, reachedMs }: NextThreshold) {
  if (reachedMs === undefined) return { action, unit, at };
  return { action, unit, at, reachedAt: reachedMs === null ? null : formatInstant(reachedMs) };
}

/** How to sort reports. */
export const QUEUE_ORDERS = ['messages', 'bytes', 'growth', 'warned', 'next', 'queue'] as const;

/** One of {@link QUEUE_ORDERS}. */
export type QueueOrder = (typeof QUEUE_ORDERS)[number];

/** What sorts a list of reports, and what comes first by default. */
export const QUEUE_KEYS: Readonly<
  Record<QueueOrder, { readonly of: (report: QueueReport) => SortKey; readonly order: SortOrder }>
> = {
  messages: { of: ({ messages }) => messages, order: 'desc' },
  bytes: { of: ({ bytes }) => bytes, order: 'desc' },
  growth: { of: ({ messagesPerMinute }) => messagesPerMinute, order: 'desc' },
  warned: { of: ({ warnedMs }) => warnedMs, order: 'asc' },
  next: { of: ({ next }) => next?.reachedMs, order: 'asc' },
  queue: { of: ({ queue }) => queue, order: 'asc' },
};

/**
 * Sorts reports: the deepest, largest or fastest growing first, the one warned of first, or the one that reaches its next
 * threshold first. What is unknown comes last; equal ones are sorted by depth, then by name.
 */
export function sortQueueReports(reports: readonly QueueReport[], order: QueueOrder): QueueReport[] {
  const key = QUEUE_KEYS[order];
  return sortedBy(reports, key.of, key.order, compareByDepth);
}

/** Orders the deepest first, then by name. */
export function compareByDepth(
  a: Pick<QueueReport, 'queue' | 'messages'>,
  b: Pick<QueueReport, 'queue' | 'messages'>,
): number {
  return compareKeys(a.messages, b.messages, 'desc') || compareKeys(a.queue, b.queue, 'asc');
}

/** A report on a queue as JSON; what is unknown is absent. `reachedAt` null: not at the present rate. */
export function queueValue(report: QueueReport) {
  const {
    queue,
    namespace,
    state,
    messages,
    bytes,
    messagesPerMinute,
    bytesPerMinute,
    warnedMs,
    exemptUntilMs,
    next,
    limits,
  } = report;
  return {
    queue,
    namespace,
    state,
    ...(messages === undefined ? {} : { messages }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(messagesPerMinute === undefined ? {} : { messagesPerMinute: roundedRate(messagesPerMinute) }),
    ...(bytesPerMinute === undefined ? {} : { bytesPerMinute: roundedRate(bytesPerMinute) }),
    ...(warnedMs === undefined ? {} : { warnedSince: formatInstant(warnedMs) }),
    ...(exemptUntilMs === undefined ? {} : { exemptUntil: formatInstant(exemptUntilMs) }),
    ...(next === undefined ? {} : { next: thresholdView(next) }),
    ...limitsValue(limits),
  };
}

/** The rule of a queue, and what it says. Bytes are absent where they are not watched. */
export function limitsValue({
  rule,
  warnAtMessages,
  deleteAtMessages,
  warnAtBytes,
  deleteAtBytes,
  onOvergrown,
}: QueueLimits) {
  const ofBytes = warnAtBytes === null || deleteAtBytes === null ? {} : { warnAtBytes, deleteAtBytes };
  return { rule, limits: { warnAtMessages, deleteAtMessages, ...ofBytes, onOvergrown } };
}

/** A rate as it is shown. */
export function roundedRate(perMinute: number): number {
  return Number(perMinute.toFixed(Math.abs(perMinute) < 10 ? 1 : 0));
}
