import type { ListedQueue, Management } from '../broker/management/management.ts';
import type { Clock } from '../util/clock.ts';
import type { QueueAlert, QueueAlertLevel, QueueAlertStore } from '../store/queue-alert-records.ts';
import type { AlertLimits } from './decide-alert.ts';
import type { Growth } from './growth.ts';
import type { ProcessQueues, SeenQueue } from './process-queues.ts';
import { namespaceOfQueue } from './managed-queue.ts';
import { surveyPauseMs } from './survey-pace.ts';

/** What {@link createSurvey} works with. */
export interface SurveyParts {
  readonly management: Pick<Management, 'listQueues'>;
  readonly store: Pick<QueueAlertStore, 'list'>;
  readonly judge: ProcessQueues;
  readonly growth: Growth;
  readonly clock: Clock;
  readonly vhost: string;
  readonly namespacePrefix: string;
  readonly limits: AlertLimits;
  /** Between the starts of two surveys, at most, in ms. */
  readonly longestPauseMs: number;
  /** A queue that may pass a threshold before the next survey. */
  readonly onGrowing: (queue: string, lookAfterMs: number) => void;
}

/** What one survey saw. */
export interface Surveyed {
  /** When it began, in ms since the epoch. */
  readonly seenMs: number;
  /** Of how many queues of namespaces. */
  readonly queues: number;
  /** How many of them have an alert, by level. */
  readonly alerts: Readonly<Partial<Record<QueueAlertLevel, number>>>;
  /** How long the listing took, and when the next survey should begin, counted from the start of this one; in ms. */
  readonly listingMs: number;
  readonly nextAfterMs: number;
}

/**
 * Looks at all queues.
 *
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
 */
export type Survey = (signal: AbortSignal) => Promise<Surveyed>;

const PAGE = 1000;

/** Builds it: one read of the alerts, one listing, and then only what is deep or has an alert costs anything. */
export function createSurvey(parts: SurveyParts): Survey {
  const { management, store, judge, growth, clock, vhost, namespacePrefix, limits } = parts;
  return async (signal) => {
    // First these: an alert that is forgotten while the queues are listed must not look like one that never was.
    const alerts = await readAlerts(store);
    const startedMs = clock.monotonicMs();
    const seenMs = clock.nowMs();
    const listed = await management.listQueues(vhost, { signal });
    const listingMs = clock.monotonicMs() - startedMs;
    const managed = listed.filter(({ name }) => namespaceOfQueue(namespacePrefix, name) !== undefined);
    const seen = [...deepOnes(managed, alerts, limits, seenMs), ...vanishedOnes(listed, alerts, seenMs)];
    // Deletions take seconds, and the older a look the less it says of a queue that nobody has warned of.
    const ordered = [
      ...seen.filter(({ alert }) => alert === undefined),
      ...seen.filter(({ alert }) => alert !== undefined),
    ];
    for (const [queue, pauseMs] of growth.takeSurvey(depthsOf(managed), seenMs)) parts.onGrowing(queue, pauseMs);
    await judge(ordered, signal);
    return {
      seenMs,
      queues: managed.length,
      alerts: countLevels(alerts.values()),
      listingMs,
      nextAfterMs: surveyPauseMs(listingMs, parts.longestPauseMs),
    };
  };
}

async function readAlerts(store: Pick<QueueAlertStore, 'list'>): Promise<Map<string, QueueAlert>> {
  const alerts = new Map<string, QueueAlert>();
  for (let after: string | undefined; ; ) {
    const page = await store.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const alert of page) alerts.set(alert.queue, alert);
    after = page.at(-1)?.queue;
    if (page.length < PAGE) return alerts;
  }
}

function* depthsOf(queues: readonly ListedQueue[]): Iterable<readonly [string, number]> {
  for (const { name, messages } of queues) if (messages !== undefined) yield [name, messages];
}

/** The queues that there may be something to do about. */
function deepOnes(
  managed: readonly ListedQueue[],
  alerts: ReadonlyMap<string, QueueAlert>,
  { warnAtMessages }: AlertLimits,
  seenMs: number,
): SeenQueue[] {
  return managed.flatMap(({ name, messages }) => {
    const alert = alerts.get(name);
    if (alert === undefined && (messages === undefined || messages < warnAtMessages)) return [];
    return [{ queue: name, depth: { messages, isWhole: true, seenMs }, alert }];
  });
}

/** The alerts of queues that are not there any more: older than the listing, they would be in it. */
function vanishedOnes(
  listed: readonly ListedQueue[],
  alerts: ReadonlyMap<string, QueueAlert>,
  seenMs: number,
): SeenQueue[] {
  if (alerts.size === 0) return [];
  const names = new Set(listed.map(({ name }) => name));
  return [...alerts.values()]
    .filter(({ queue }) => !names.has(queue))
    .map((alert) => {
      const depth = { messages: undefined, isWhole: true, isGone: true, seenMs };
      return { queue: alert.queue, depth, alert };
    });
}

function countLevels(alerts: Iterable<QueueAlert>): Surveyed['alerts'] {
  const counts: Partial<Record<QueueAlertLevel, number>> = {};
  for (const { level } of alerts) counts[level] = (counts[level] ?? 0) + 1;
  return counts;
}
