import type { ListedQueue, Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { queueAlertPages } from '../store/paged-listing.ts';
import type { QueueAlert, QueueAlertLevel, QueueAlertStore } from '../store/queue-alert-records.ts';
import type { Clock } from '../util/clock.ts';
import type { ByteCounts } from './byte-counts.ts';
import { type AlertLimits, LISTING_LAG_MS, type ObservedQueue, reachesWarning } from './decide-alert.ts';
import type { GrowthTracker } from './growth-tracker.ts';
import type { InspectionSchedule } from './inspection-schedule.ts';
import type { ProcessQueues } from './process-queues.ts';
import { namespaceOfQueue } from './queue-names.ts';
import { surveyPauseMs } from './survey-pause.ts';

interface SurveyQueuesParts {
  readonly management: Pick<Management, 'listQueues' | 'listQueueNames'>;
  readonly store: { readonly queueAlerts: Pick<QueueAlertStore, 'list'> };
  readonly processQueues: ProcessQueues;
  readonly growth: GrowthTracker;
  readonly byteCounts: Pick<ByteCounts, 'refresh' | 'sizeOf'>;
  readonly schedule: Pick<InspectionSchedule, 'add'>;
  readonly config: AlertLimits & Pick<Config, 'vhost' | 'namespacePrefix' | 'surveyIntervalSeconds'>;
  readonly clock: Clock;
}

/** The result of one survey. */
export interface SurveyResult {
  /** When it began, in ms since the epoch. */
  readonly seenMs: number;
  /** The number of queues of namespaces. */
  readonly queues: number;
  /** The number of alerts by level. */
  readonly alerts: Readonly<Partial<Record<QueueAlertLevel, number>>>;
  /** How long the listing took, in ms. */
  readonly listingMs: number;
  /** When the next survey should begin, in ms after the start of this one. */
  readonly nextAfterMs: number;
}

/**
 * Observes all queues, and processes those that are deep or have an alert.
 *
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
 */
export type SurveyQueues = (signal: AbortSignal) => Promise<SurveyResult>;

/** Costs one read of all alerts and one or two listings, and after that something only for queues that are deep or have an alert. */
export function createSurveyQueues(parts: SurveyQueuesParts): SurveyQueues {
  const { management, store, processQueues, growth, byteCounts, schedule, config, clock } = parts;
  const { vhost, namespacePrefix, surveyIntervalSeconds } = config;

  /** The listed queues that are deep or have an alert. */
  const observeListed = (
    managed: readonly ListedQueue[],
    alerts: ReadonlyMap<string, QueueAlert>,
    seenMs: number,
  ): ObservedQueue[] =>
    managed.flatMap(({ name, messages }) => {
      const alert = alerts.get(name);
      const bytes = byteCounts.sizeOf(name, messages);
      if (alert === undefined && !reachesWarning(messages, bytes?.bytes, config)) return [];
      return [{ queue: name, depth: { messages, bytes, isExact: true, seenMs, lagMs: LISTING_LAG_MS }, alert }];
    });

  return async (signal) => {
    // The alerts come first: a queue whose alert is removed during the listing must not be taken for one without an alert.
    const alerts = await readAlerts(store.queueAlerts, signal);
    // The sizes come before the depths: those show whether a queue has become smaller since it was counted.
    await byteCounts.refresh(alerts, signal);
    const startedMs = clock.monotonicMs();
    const seenMs = clock.nowMs();
    const listed = await management.listQueues(vhost, { signal });
    const listingMs = clock.monotonicMs() - startedMs;
    const managed = listed.filter(({ name }) => namespaceOfQueue(namespacePrefix, name) !== undefined);
    for (const [queue, afterMs] of growth.recordSurvey(depthsOf(managed), seenMs)) schedule.add(queue, afterMs);
    const unlisted = alertsBesides(listed, alerts);
    // A queue that has crashed is in no listing with depths.
    const names = unlisted.length === 0 ? [] : await management.listQueueNames(vhost, { signal });
    const observed = [...observeListed(managed, alerts, seenMs), ...observeMissing(unlisted, new Set(names), seenMs)];
    await processQueues(withoutAlertFirst(observed), signal);
    return {
      seenMs,
      queues: managed.length,
      alerts: countLevels(alerts.values()),
      listingMs,
      nextAfterMs: surveyPauseMs(listingMs, surveyIntervalSeconds * 1000),
    };
  };
}

/** All alerts, by queue. */
export async function readAlerts(
  store: Pick<QueueAlertStore, 'list'>,
  signal: AbortSignal,
): Promise<Map<string, QueueAlert>> {
  const alerts = new Map<string, QueueAlert>();
  for await (const page of queueAlertPages(store, signal)) for (const alert of page) alerts.set(alert.queue, alert);
  return alerts;
}

function* depthsOf(queues: readonly ListedQueue[]): Iterable<readonly [string, number]> {
  for (const { name, messages } of queues) if (messages !== undefined) yield [name, messages];
}

/** The alerts of queues that are not listed. */
function alertsBesides(listed: readonly ListedQueue[], alerts: ReadonlyMap<string, QueueAlert>): readonly QueueAlert[] {
  if (alerts.size === 0) return [];
  const names = new Set(listed.map(({ name }) => name));
  return [...alerts.values()].filter(({ queue }) => !names.has(queue));
}

/** The queues without a depth that have an alert, and whether they exist: the alert is older than the listing. */
function observeMissing(unlisted: readonly QueueAlert[], names: ReadonlySet<string>, seenMs: number): ObservedQueue[] {
  return unlisted.map((alert) => {
    const { queue } = alert;
    // The names in a listing do not lag behind.
    const depth = { messages: undefined, isExact: true, isMissing: !names.has(queue), seenMs, lagMs: 0 };
    return { queue, depth, alert };
  });
}

/** Deletions take seconds, and the depth of a queue without an alert becomes less reliable with time. */
function withoutAlertFirst(observed: readonly ObservedQueue[]): ObservedQueue[] {
  return [
    ...observed.filter(({ alert }) => alert === undefined),
    ...observed.filter(({ alert }) => alert !== undefined),
  ];
}

function countLevels(alerts: Iterable<QueueAlert>): SurveyResult['alerts'] {
  const counts: Partial<Record<QueueAlertLevel, number>> = {};
  for (const { level } of alerts) counts[level] = (counts[level] ?? 0) + 1;
  return counts;
}
