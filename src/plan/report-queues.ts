import type { Config } from '../config/config.ts';
import type { QueueGrowth } from '../queues/forecast-queue.ts';
import { type MeasureGrowthParts, startGrowthMeasurement } from '../queues/measure-growth.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import { isInAlert, type QueueReport, reportQueue } from '../queues/queue-report.ts';
import { readAlerts } from '../queues/survey-queues.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { namespacePages, readExemptions } from '../store/paged-listing.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import { exemptionsInForce, type QueueExemption } from '../store/queue-exemption-records.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { systemClock, systemSleep } from '../util/clock.ts';
import { withInstallation } from './with-installation.ts';

/** Which queues to report on, and how. */
export interface QueueReportOptions {
  /** Only those of this namespace. */
  readonly namespace?: string | undefined;
  /** How long to measure their growth, in ms; 0: not, so that it is unknown. */
  readonly measureMs: number;
  readonly signal: AbortSignal;
}

type ReportParts = MeasureGrowthParts & {
  readonly config: Config;
  readonly store: Pick<StoreReader, 'namespaces' | 'queueAlerts' | 'queueExemptions'>;
};

type Records = ReadonlyMap<string, Pick<NamespaceRecord, 'state' | 'incarnation' | 'queueLimits'>>;

type Exemptions = ReadonlyMap<string, QueueExemption>;

/**
 * Reports on all queues of namespaces, as listings show them now, with the configuration of an agent.
 *
 * @throws AgentError when the store or the broker cannot be read; the signal's reason
 */
export async function reportQueues(config: Config, options: QueueReportOptions): Promise<QueueReport[]> {
  const { namespace, measureMs, signal } = options;
  return await withInstallation(config, signal, async ({ store, management }) => {
    const parts = { config, store, management, clock: systemClock, sleep: systemSleep };
    const measurement = await startGrowthMeasurement(parts, signal, (queue) => isOf(config, namespace, queue));
    const growth = await measurement.finish(measureMs);
    const alerts = await readAlerts(store.queueAlerts, signal);
    for (const queue of alerts.keys()) if (!isOf(config, namespace, queue)) alerts.delete(queue);
    return combine(config, growth, alerts, {
      namespaces: await readRecords(store, namespace, signal),
      exemptions: await readExempt(parts),
    });
  });
}

/** A report on the queues that have an alert, which is being made. */
export interface AlertReport {
  /** The number of these queues. */
  readonly size: number;
  /** @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason */
  finish(measureMs: number): Promise<QueueReport[]>;
}

/**
 * Begins a report on the queues that have an alert, with one listing; `finish` makes another one. It costs nothing where
 * there is none.
 *
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
 */
export async function startReportOnAlerts(
  parts: ReportParts,
  { namespace, signal }: Pick<QueueReportOptions, 'namespace' | 'signal'>,
): Promise<AlertReport> {
  const { config, store } = parts;
  const alerts = await readAlerts(store.queueAlerts, signal);
  for (const queue of alerts.keys()) if (!isOf(config, namespace, queue)) alerts.delete(queue);
  if (alerts.size === 0) return { size: 0, finish: async () => [] };
  const measurement = await startGrowthMeasurement(parts, signal, (queue) => alerts.has(queue));
  return {
    size: alerts.size,
    async finish(measureMs) {
      const growth = await measurement.finish(measureMs);
      const records = new Map<string, NamespaceRecord>();
      for (const owner of new Set([...alerts.values()].map((alert) => alert.namespace))) {
        const record = await store.namespaces.get(owner);
        if (record !== undefined) records.set(owner, record);
      }
      return combine(config, growth, alerts, { namespaces: records, exemptions: await readExempt(parts) });
    },
  };
}

function isOf({ namespacePrefix }: Config, namespace: string | undefined, queue: string): boolean {
  return namespace === undefined || namespaceOfQueue(namespacePrefix, queue) === namespace;
}

async function readRecords(
  store: Pick<StoreReader, 'namespaces'>,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<Records> {
  const records = new Map<string, Pick<NamespaceRecord, 'state' | 'incarnation' | 'queueLimits'>>();
  if (namespace !== undefined) {
    const record = await store.namespaces.get(namespace);
    if (record !== undefined) records.set(namespace, record);
    return records;
  }
  for await (const page of namespacePages(store.namespaces, signal)) {
    for (const { namespace: name, state, incarnation, queueLimits } of page) {
      records.set(name, { state, incarnation, ...(queueLimits === undefined ? {} : { queueLimits }) });
    }
  }
  return records;
}

/** The exemptions that hold, by queue. */
async function readExempt({ store, clock }: Pick<ReportParts, 'store' | 'clock'>): Promise<Exemptions> {
  return exemptionsInForce(await readExemptions(store.queueExemptions), clock.nowMs());
}

function combine(
  config: Config,
  growth: ReadonlyMap<string, QueueGrowth>,
  alerts: ReadonlyMap<string, QueueAlert>,
  { namespaces, exemptions }: { readonly namespaces: Records; readonly exemptions: Exemptions },
): QueueReport[] {
  // A queue that has crashed, or whose node is down, is in no listing with depths.
  const unlisted = [...alerts.keys()].filter((queue) => !growth.has(queue));
  return [...growth.keys(), ...unlisted].flatMap((queue) => {
    const namespace = namespaceOfQueue(config.namespacePrefix, queue);
    if (namespace === undefined) return [];
    const known = {
      namespace,
      record: namespaces.get(namespace),
      alert: alerts.get(queue),
      exemption: exemptions.get(queue),
    };
    const report = reportQueue(queue, growth.get(queue) ?? {}, known, config);
    return growth.has(queue) || isInAlert(report) ? [report] : [];
  });
}
