import type { ListedQueue, Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { queueAlertPages } from '../store/paged-listing.ts';
import type { QueueAlert, QueueAlertLevel, QueueAlertStore } from '../store/queue-alert-records.ts';
import type { Clock } from '../util/clock.ts';
import type { ObservedQueue } from './decide-alert.ts';
import type { GrowthTracker } from './growth-tracker.ts';
import type { InspectionSchedule } from './inspection-schedule.ts';
import type { ProcessQueues } from './process-queues.ts';
import { namespaceOfQueue } from './queue-names.ts';

interface SurveyQueuesParts {
  readonly management: Pick<Management, 'listQueues'>;
  readonly store: { readonly queueAlerts: Pick<QueueAlertStore, 'list'> };
  readonly processQueues: ProcessQueues;
  readonly growth: GrowthTracker;
  readonly schedule: Pick<InspectionSchedule, 'add'>;
  readonly config: Pick<Config, 'vhost' | 'namespacePrefix' | 'warnAtMessages' | 'surveyIntervalSeconds'>;
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

/** The share of the time that surveys may take: the broker has other work. */
const SURVEY_SHARE = 0.05;

/** No survey starts sooner after the start of another one, in ms. */
const MIN_PAUSE_MS = 1_000;

/** Costs one read of all alerts and one listing, and after that something only for queues that are deep or have an alert. */
export function createSurveyQueues(parts: SurveyQueuesParts): SurveyQueues {
  const { management, store, processQueues, growth, schedule, config, clock } = parts;
  const { vhost, namespacePrefix, warnAtMessages, surveyIntervalSeconds } = config;
  return async (signal) => {
    // The alerts come first: a queue whose alert is removed during the listing must not be taken for one without an alert.
    const alerts = await readAlerts(store.queueAlerts, signal);
    const startedMs = clock.monotonicMs();
    const seenMs = clock.nowMs();
    const listed = await management.listQueues(vhost, { signal });
    const listingMs = clock.monotonicMs() - startedMs;
    const managed = listed.filter(({ name }) => namespaceOfQueue(namespacePrefix, name) !== undefined);
    for (const [queue, afterMs] of growth.recordSurvey(depthsOf(managed), seenMs)) schedule.add(queue, afterMs);
    const observed = [
      ...observeListed(managed, alerts, warnAtMessages, seenMs),
      ...observeMissing(listed, alerts, seenMs),
    ];
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

/**
 * From the start of one survey to the start of the next, in ms: so that listings take at most a twentieth of the time, and
 * at least every `maxPauseMs`.
 */
export function surveyPauseMs(listingMs: number, maxPauseMs: number): number {
  return Math.min(Math.max(listingMs / SURVEY_SHARE, MIN_PAUSE_MS), maxPauseMs);
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

/** The listed queues that are deep or have an alert. */
function observeListed(
  managed: readonly ListedQueue[],
  alerts: ReadonlyMap<string, QueueAlert>,
  warnAtMessages: number,
  seenMs: number,
): ObservedQueue[] {
  return managed.flatMap(({ name, messages }) => {
    const alert = alerts.get(name);
    if (alert === undefined && (messages === undefined || messages < warnAtMessages)) return [];
    return [{ queue: name, depth: { messages, isExact: true, seenMs }, alert }];
  });
}

/** The queues that have an alert and do not exist: the alert is older than the listing. */
function observeMissing(
  listed: readonly ListedQueue[],
  alerts: ReadonlyMap<string, QueueAlert>,
  seenMs: number,
): ObservedQueue[] {
  if (alerts.size === 0) return [];
  const names = new Set(listed.map(({ name }) => name));
  const depth = { messages: undefined, isExact: true, isMissing: true, seenMs };
  return [...alerts.values()]
    .filter(({ queue }) => !names.has(queue))
    .map((alert) => ({ queue: alert.queue, depth, alert }));
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
