import { formatInstant } from '../contract/fields.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueAlert, QueueAlertLevel } from '../store/queue-alert-records.ts';
import type { QueueExemption } from '../store/queue-exemption-records.ts';
import { matchesAny, type NamePattern } from '../util/name-pattern.ts';
import { limitsOfQueue, type QueueLimits, type QueueLimitsConfig } from './queue-limits.ts';
import { forecastQueue, type NextThreshold, type QueueForecast, type QueueGrowth } from './forecast-queue.ts';

/**
 * - `watched`: its owner is warned when it grows too large.
 * - `warned`: its owner was warned; it is deleted when it grows further, unless an operator exempted it.
 * - `deleting`: the agents delete it now.
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
  readonly record: Pick<NamespaceRecord, 'state' | 'incarnation'> | undefined;
  readonly alert: QueueAlert | undefined;
  /** The exemption that holds. */
  readonly exemption?: Pick<QueueExemption, 'untilMs'> | undefined;
}

const NEXT_ACTIONS: Readonly<Record<QueueState, NextThreshold['action'] | undefined>> = {
  watched: 'warn',
  warned: 'delete',
  deleting: undefined,
  exempt: undefined,
  unclaimed: undefined,
};

/** Reports on a queue from what was observed of it and what the store has. */
export function reportQueue(
  queue: string,
  growth: QueueGrowth,
  { namespace, record, alert, exemption }: QueueRecords,
  config: QueueReportConfig,
): QueueReport {
  const state = stateOf(queue, { namespace, record, alert }, config);
  const limits = limitsOfQueue(config, queue);
  return {
    queue,
    namespace,
    state,
    messages: growth.messages?.latest.amount,
    bytes: growth.bytes?.latest.amount,
    warnedMs: state === 'warned' ? alert?.changedMs : undefined,
    ...(exemption === undefined ? {} : { exemptUntilMs: exemption.untilMs }),
    ...forecastQueue(growth, state === 'warned' && exemption !== undefined ? undefined : NEXT_ACTIONS[state], limits),
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
      return 'warned';
    case 'over':
    case 'deleting':
    case 'deleted':
      return 'deleting';
    case 'recovering':
      return 'watched';
  }
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

/** What comes first has the smallest key; undefined comes last. */
const KEYS: Readonly<Record<Exclude<QueueOrder, 'queue'>, (report: QueueReport) => number | null | undefined>> = {
  messages: ({ messages }) => negative(messages),
  bytes: ({ bytes }) => negative(bytes),
  growth: ({ messagesPerMinute }) => negative(messagesPerMinute),
  warned: ({ warnedMs }) => warnedMs,
  next: ({ next }) => next?.reachedMs,
};

/**
 * Sorts reports: the deepest, largest or fastest growing first, the one warned of first, or the one that reaches its next
 * threshold first. What is unknown comes last; equal ones are sorted by depth, then by name.
 */
export function sortQueueReports(reports: readonly QueueReport[], order: QueueOrder): QueueReport[] {
  return reports.toSorted((a, b) => {
    const byOrder = order === 'queue' ? 0 : compareKeys(KEYS[order](a), KEYS[order](b));
    if (byOrder !== 0) return byOrder;
    const byDepth = order === 'queue' ? 0 : compareKeys(KEYS.messages(a), KEYS.messages(b));
    if (byDepth !== 0) return byDepth;
    return a.queue < b.queue ? -1 : 1;
  });
}

function negative(amount: number | undefined): number | undefined {
  return amount === undefined ? undefined : -amount;
}

function compareKeys(a: number | null | undefined, b: number | null | undefined): number {
  const [one, other] = [a ?? Infinity, b ?? Infinity];
  return one === other ? 0 : one - other;
}
