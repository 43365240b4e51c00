import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import { readAlerts } from '../queues/survey-queues.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { type PlannedQueue, planQueues } from './plan-queues.ts';

/**
 * What a survey would do now. It changes nothing.
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
  const alerts = await readAlerts(store.queueAlerts, signal);
  const queues = await management.listQueues(config.vhost, { signal });
  const records = new Map<string, NamespaceRecord>();
  for (const { name, messages } of queues) {
    const namespace = namespaceOfQueue(config.namespacePrefix, name);
    const isRelevant = alerts.has(name) || (messages ?? 0) >= config.warnAtMessages;
    if (namespace === undefined || records.has(namespace) || !isRelevant) continue;
    const record = await store.namespaces.get(namespace);
    if (record !== undefined) records.set(namespace, record);
  }
  return planQueues(queues, alerts, records, config, nowMs);
}
