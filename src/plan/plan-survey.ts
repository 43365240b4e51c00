import type { CountedBytes, Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { currentCount } from '../queues/current-count.ts';
import { reachesWarning } from '../queues/decide-alert.ts';
import { limitsOfQueue, areBytesWatched } from '../queues/queue-limits.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import { readAlerts } from '../queues/survey-queues.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { readExemptions } from '../store/paged-listing.ts';
import { exemptionsInForce } from '../store/queue-exemption-records.ts';
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
  const sizes = new Map<string, CountedBytes>();
  if (areBytesWatched(config)) {
    for (const counted of await management.listQueueBytes(config.vhost, { signal })) sizes.set(counted.name, counted);
  }
  const queues = await management.listQueues(config.vhost, { signal });
  const records = new Map<string, NamespaceRecord>();
  for (const { name, messages } of queues) {
    const namespace = namespaceOfQueue(config.namespacePrefix, name);
    const isRelevant =
      alerts.has(name) ||
      reachesWarning(messages, currentCount(sizes.get(name), messages)?.bytes, limitsOfQueue(config, name));
    if (namespace === undefined || records.has(namespace) || !isRelevant) continue;
    const record = await store.namespaces.get(namespace);
    if (record !== undefined) records.set(namespace, record);
  }
  const exemptions = exemptionsInForce(await readExemptions(store.queueExemptions), nowMs);
  return planQueues(queues, alerts, records, config, nowMs, sizes, exemptions);
}
