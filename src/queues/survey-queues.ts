import type { ListedQueue, Management } from '../broker/management/management.ts';
import type { FoundQueue } from '../broker/management/queue-search.ts';
import type { Config } from '../config/config.ts';
import { queueAlertPages } from '../store/paged-listing.ts';
import type { QueueAlert, QueueAlertLevel, QueueAlertStore } from '../store/queue-alert-records.ts';
import { type Clock, type Moment, momentOf } from '../util/clock.ts';
import type { ByteCounts } from './byte-counts.ts';
import { isIdleDue, LISTING_LAG_MS, type ObservedQueue, reachesWarning } from './decide-alert.ts';
import type { GrowthTracker } from './growth-tracker.ts';
import type { IdleQueues } from './idle-queues.ts';
import type { InspectionSchedule } from './inspection-schedule.ts';
import type { ProcessQueues } from './process-queues.ts';
import type { ObservedAmounts } from './measure-growth.ts';
import type { QueueHistory } from './queue-history.ts';
import { limitsOfQueue, lowestWarning, type QueueLimitsConfig } from './queue-limits.ts';
import { namespaceOfQueue } from './queue-names.ts';
import { surveyPauseMs } from './survey-pause.ts';

/** Takes the depths of all queues of namespaces as a listing shows them, for the operators' page. */
export interface DepthObserver {
  /** A listing was requested. */
  begin(at: Moment): ListedDepths;
  /** Forgets a queue that was created or deleted: another one of its name may follow. */
  forget(queue: string): void;
}

/** One listing that a {@link DepthObserver} takes. */
export interface ListedDepths {
  add(queue: FoundQueue, namespace: string): void;
  /** All were listed: the others are gone. */
  end(): void;
}

interface SurveyQueuesParts {
  readonly management: Pick<Management, 'visitQueues' | 'visitQueueDepths' | 'listQueueNames'>;
  readonly store: { readonly queueAlerts: Pick<QueueAlertStore, 'list'> };
  readonly processQueues: ProcessQueues;
  readonly growth: GrowthTracker;
  readonly byteCounts: Pick<ByteCounts, 'refresh' | 'sizeOf'>;
  readonly idle: Pick<IdleQueues, 'refresh' | 'of'>;
  readonly schedule: Pick<InspectionSchedule, 'add'>;
  readonly history: Pick<QueueHistory, 'watched' | 'add'>;
  readonly depths?: Pick<DepthObserver, 'begin'> | undefined;
  readonly config: QueueLimitsConfig & Pick<Config, 'vhost' | 'surveyIntervalSeconds'>;
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
  const { management, store, processQueues, growth, byteCounts, idle, schedule, history, depths, config, clock } =
    parts;
  const { vhost, namespacePrefix, surveyIntervalSeconds } = config;
  const lowest = lowestWarning(config);

  /** Finds the rule only of a queue that is deep by one of them. */
  const isDeep = (queue: string, messages: number | undefined, bytes: number | undefined): boolean =>
    reachesWarning(messages, bytes, lowest) && reachesWarning(messages, bytes, limitsOfQueue(config, queue));

  /** Lists all queues, and keeps only those that are not empty or have an alert: there may be a hundred thousand. */
  const list = async (
    alerts: ReadonlyMap<string, QueueAlert>,
    at: Moment,
    signal: AbortSignal,
  ): Promise<ListedQueues> => {
    const { wallMs: seenMs } = at;
    const observing = depths?.begin(at);
    const amounts: [string, number][] = [];
    const observed: ObservedQueue[] = [];
    const alerted = new Set<string>();
    const described = new Map([...history.watched()].map((each) => [each, new Map<string, ObservedAmounts>()]));
    let count = 0;
    const visit = (listed: ListedQueue): void => {
      const { name, messages } = listed;
      const alert = alerts.get(name);
      if (alert !== undefined) alerted.add(name);
      const namespace = namespaceOfQueue(namespacePrefix, name);
      if (namespace === undefined) return;
      count += 1;
      observing?.add(listed, namespace);
      described.get(namespace)?.set(name, { messages, counted: undefined });
      if (messages !== undefined && messages > 0) amounts.push([name, messages]);
      const bytes = byteCounts.sizeOf(name, messages);
      const { idleSinceMs, hasConsumers = false } = idle.of(name) ?? {};
      const isDue = idleSinceMs !== undefined && isIdleDue({ idleSinceMs }, limitsOfQueue(config, name), seenMs);
      if (alert === undefined && !isDue && !isDeep(name, messages, bytes?.bytes)) return;
      const use = { idleSinceMs, hasConsumers };
      const depth = { messages, bytes, isExact: true, seenMs, lagMs: LISTING_LAG_MS, ...use };
      observed.push({ queue: name, depth, alert });
    };
    if (observing === undefined) await management.visitQueues(vhost, visit, { signal });
    else await management.visitQueueDepths(vhost, visit, { signal });
    observing?.end();
    return { count, amounts, observed, alerted, described };
  };

  return async (signal) => {
    // The alerts come first: a queue whose alert is removed during the listing must not be taken for one without an alert.
    const alerts = await readAlerts(store.queueAlerts, signal);
    // The sizes come before the depths: those show whether a queue has become smaller since it was counted.
    await byteCounts.refresh(alerts, signal);
    await idle.refresh(signal);
    const startedAt = momentOf(clock);
    const seenMs = startedAt.wallMs;
    const listed = await list(alerts, startedAt, signal);
    for (const [namespace, amounts] of listed.described) {
      history.add(namespace, { amounts, sizesAt: startedAt, depthsAt: startedAt });
    }
    const listingMs = clock.monotonicMs() - startedAt.monotonicMs;
    for (const [queue, afterMs] of growth.recordSurvey(listed.amounts, seenMs)) schedule.add(queue, afterMs);
    const unlisted = [...alerts.values()].filter(({ queue }) => !listed.alerted.has(queue));
    // A queue that has crashed is in no listing with depths.
    const names = unlisted.length === 0 ? [] : await management.listQueueNames(vhost, { signal });
    const observed = [...listed.observed, ...observeMissing(unlisted, new Set(names), seenMs)];
    await processQueues(withoutAlertFirst(observed), signal);
    return {
      seenMs,
      queues: listed.count,
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

/** What the listing shows. */
interface ListedQueues {
  /** How many queues of namespaces there are. */
  readonly count: number;
  /** Those that hold messages, and how many. */
  readonly amounts: readonly [queue: string, messages: number][];
  /** Those that are deep or have an alert. */
  readonly observed: readonly ObservedQueue[];
  /** The names that have an alert. */
  readonly alerted: ReadonlySet<string>;
  /** All queues of the namespaces that clients have asked about lately. */
  readonly described: ReadonlyMap<string, ReadonlyMap<string, ObservedAmounts>>;
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
