import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { type PlannedQueue, planQueues } from './plan-queues.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import { queueAlertPages } from '../store/paged-listing.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { StoreReader } from '../store/open-store-to-read.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';

/**
 * What a survey would do that sees the queues now; nothing is changed.
 *
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
 */
export async function planSurvey(
  config: Config,
  store: StoreReader,
  management: Management,
  nowMs: number,
  signal: AbortSignal,
): Promise<PlannedQueue[]> {
  const { namespacePrefix, exemptQueues, warnAtMessages, deleteAtMessages } = config;
  const alerts = new Map<string, QueueAlert>();
  for await (const page of queueAlertPages(store.queueAlerts, signal)) {
    for (const alert of page) alerts.set(alert.queue, alert);
  }
  const queues = await management.listQueues(config.vhost, { signal });
  const records = new Map<string, NamespaceRecord>();
  for (const { name, messages } of queues) {
    const owner = namespaceOfQueue(namespacePrefix, name);
    const isOfInterest = alerts.has(name) || (messages ?? 0) >= warnAtMessages;
    if (owner === undefined || records.has(owner) || !isOfInterest) continue;
    const record = await store.namespaces.get(owner);
    if (record !== undefined) records.set(owner, record);
  }
  const limits = { warnAtMessages, deleteAtMessages };
  return planQueues(queues, alerts, records, { nowMs, limits, namespacePrefix, exemptQueues });
}
