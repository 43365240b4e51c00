import type { QueueStatistics } from '../broker/management/queue-search.ts';
import type { AgentContext } from '../context.ts';
import { compareQueue, type ObservedAmounts, type QueueListing, rateBase } from '../queues/measure-growth.ts';
import { isInAlert, type QueueReport, type QueueReportConfig, reportQueue } from '../queues/queue-report.ts';
import { readAlerts } from '../queues/survey-queues.ts';
import { readExemptions } from '../store/paged-listing.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { exemptionsInForce, type QueueExemption } from '../store/queue-exemption-records.ts';
import { type Moment, momentOf } from '../util/clock.ts';
import type { NamePattern } from '../util/name-pattern.ts';
import type { DepthTrends, ListedDepth } from './depth-history.ts';
import type { DepthWatch } from './depth-watch.ts';
import type { NamespaceTable } from './namespace-table.ts';
import { createSnapshot, MAX_AGE_MS, type Snapshot } from './snapshot.ts';
import { forEachYielding } from './yielding.ts';

/** A queue in a list. An amount that is undefined is unknown. */
export interface ReportedQueue extends QueueReport {
  readonly ready: number | undefined;
  readonly unacknowledged: number | undefined;
  readonly consumers: number | undefined;
}

/** All queues of namespaces at one instant. */
export interface QueueTable {
  readonly atMs: number;
  readonly rows: readonly ReportedQueue[];
  readonly byNamespace: ReadonlyMap<string, readonly ReportedQueue[]>;
  readonly trends: DepthTrends;
  readonly total: number;
  readonly warned: number;
  readonly deleting: number;
  /** Those of the queues whose depth is known. */
  readonly messages: number;
}

type QueueTableParts = Pick<AgentContext, 'config' | 'clock' | 'management'> & {
  readonly store: Pick<StoreReader, 'queueAlerts' | 'queueExemptions'>;
  readonly depths: DepthWatch;
  readonly namespaces: Snapshot<NamespaceTable>;
};

/** What the statistics had of all queues, at one instant. */
interface ListedStatistics {
  readonly at: Moment;
  readonly byName: ReadonlyMap<string, QueueStatistics>;
}

/** How many earlier sizes of all queues are kept, to know how fast they grow. */
const MAX_SIZED = 3;

/** Reports on all queues while they are asked for, in small steps. */
export function createQueueTable(parts: QueueTableParts): Snapshot<QueueTable> {
  const { config, clock, store, depths, namespaces } = parts;
  const reportConfig = withKeptMatches(config);
  const statistics = createSnapshot(() => listStatistics(parts), { clock });
  let sized: QueueListing[] = [];
  let usable: ListedStatistics | undefined;

  /** A namespace that is missing may have been claimed after the others were read, and before its queue was listed. */
  const namespacesOfListed = async (): Promise<NamespaceTable> => {
    const known = await namespaces.get();
    const { latestAt } = depths.history;
    if (latestAt === undefined) return known;
    for (const { namespace } of depths.history.listed()) {
      if (!known.byName.has(namespace)) return await namespaces.since(latestAt.monotonicMs);
    }
    return known;
  };

  const read = async (): Promise<QueueTable> => {
    // They take seconds: the first answers go without them.
    statistics.get().catch(() => undefined);
    await depths.ensureListed();
    const { signal } = new AbortController();
    const [alerts, exemptions, { byName }] = await Promise.all([
      readAlerts(store.queueAlerts, signal),
      readExemptions(store.queueExemptions),
      namespacesOfListed(),
    ]);
    const inForce = exemptionsInForce(exemptions, clock.nowMs());
    const { history } = depths;
    const depthsAt = history.latestAt ?? momentOf(clock);
    // A size is that of the messages only where it was counted before them.
    const { latest } = statistics;
    if (latest !== undefined && latest.at.monotonicMs <= depthsAt.monotonicMs) usable = latest;
    // Newer ones than the depths are of use once those are listed again: until then the ones before hold.
    if (usable !== undefined && depthsAt.monotonicMs - usable.at.monotonicMs > MAX_AGE_MS) usable = undefined;
    const counted = usable;
    const amounts = new Map<string, ObservedAmounts>();
    const listing: QueueListing = { amounts, sizesAt: counted?.at ?? depthsAt, depthsAt };
    const rows: ReportedQueue[] = [];
    const report = (depth: ListedDepth): void => {
      const { queue, namespace, messages, ready, unacknowledged } = depth;
      const found = counted?.byName.get(queue);
      amounts.set(queue, { messages, counted: countOf(found) });
      const base = rateBase(
        sized,
        ({ sizesAt }) => listing.sizesAt.monotonicMs - sizesAt.monotonicMs,
        (known) => known.amounts.get(queue)?.counted !== undefined,
      );
      const { bytes } = compareQueue(queue, { messages: undefined, bytes: base }, listing);
      const records = {
        namespace,
        record: byName.get(namespace),
        alert: alerts.get(queue),
        exemption: inForce.get(queue),
      };
      const growth = { messages: history.growthOf(queue), bytes };
      const { consumers } = found ?? {};
      rows.push({ ...reportQueue(queue, growth, records, reportConfig), ready, unacknowledged, consumers });
    };
    await forEachYielding(history.listed(), report);
    for (const alert of alerts.values()) {
      const row = unlistedRow(alert, { amounts, byName, inForce, reportConfig });
      if (row !== undefined) rows.push(row);
    }
    if (counted !== undefined && counted.at !== sized.at(-1)?.sizesAt) sized = [...sized, listing].slice(-MAX_SIZED);
    return {
      atMs: depthsAt.wallMs,
      rows,
      byNamespace: grouped(rows),
      trends: history.trends(),
      total: rows.length,
      warned: rows.filter(({ state }) => state === 'warned').length,
      deleting: rows.filter(({ state }) => state === 'deleting').length,
      messages: rows.reduce((sum, { messages = 0 }) => sum + messages, 0),
    };
  };
  return createSnapshot(read, { clock });
}

function countOf(found: QueueStatistics | undefined): ObservedAmounts['counted'] {
  if (found?.bytes === undefined || found.messages === undefined) return undefined;
  const { name, bytes, messages } = found;
  return { name, bytes, messages };
}

async function listStatistics({
  config,
  clock,
  management,
}: Pick<QueueTableParts, 'config' | 'clock' | 'management'>): Promise<ListedStatistics> {
  const at = momentOf(clock);
  const byName = new Map<string, QueueStatistics>();
  await management.visitQueueStatistics(config.vhost, (queue) => void byName.set(queue.name, queue));
  return { at, byName };
}

function grouped(rows: readonly ReportedQueue[]): QueueTable['byNamespace'] {
  const groups = new Map<string, ReportedQueue[]>();
  for (const row of rows) {
    const group = groups.get(row.namespace);
    if (group === undefined) groups.set(row.namespace, [row]);
    else group.push(row);
  }
  return groups;
}

/** A queue in alert that no listing has: it has crashed, or its node is down. */
function unlistedRow(
  alert: QueueAlert,
  {
    amounts,
    byName,
    inForce,
    reportConfig,
  }: {
    readonly amounts: ReadonlyMap<string, unknown>;
    readonly byName: NamespaceTable['byName'];
    readonly inForce: ReadonlyMap<string, QueueExemption>;
    readonly reportConfig: QueueReportConfig;
  },
): ReportedQueue | undefined {
  const { queue, namespace } = alert;
  if (amounts.has(queue)) return undefined;
  const records = { namespace, record: byName.get(namespace), alert, exemption: inForce.get(queue) };
  const report = reportQueue(queue, {}, records, reportConfig);
  if (!isInAlert(report)) return undefined;
  return { ...report, ready: undefined, unacknowledged: undefined, consumers: undefined };
}

/** Names that were matched against patterns and are remembered; beyond that they are matched again. */
const MAX_MATCHES = 200_000;

/** The same settings, which match each name once: a table is made every few seconds, and a match takes some µs. */
function withKeptMatches(config: QueueReportConfig): QueueReportConfig {
  const queues = config.queues.map((rule) => ({ ...rule, match: kept(rule.match) }));
  const { namespacePrefix, warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes } = config;
  const [exemptQueues, reservedNamespaces] = [config.exemptQueues.map(kept), config.reservedNamespaces.map(kept)];
  const thresholds = { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes };
  return { ...thresholds, namespacePrefix, queues, exemptQueues, reservedNamespaces };
}

function kept<Pattern extends Pick<NamePattern, 'test'>>(pattern: Pattern): Pattern {
  const known = new Map<string, boolean>();
  const test = (name: string): boolean => {
    const found = known.get(name);
    if (found !== undefined) return found;
    if (known.size >= MAX_MATCHES) known.clear();
    const matches = pattern.test(name);
    known.set(name, matches);
    return matches;
  };
  return { ...pattern, test };
}
