import { openManagement } from '../agent.ts';
import { assertNotForeign } from '../broker/marker.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import { AgentError } from '../errors.ts';
import { createLog } from '../log.ts';
import { type BrokerPlan, type Plan, planNamespaces } from '../plan/make-plan.ts';
import type { Effect } from '../rehearsal/pretended.ts';
import type { Management } from '../broker/management.ts';
import { type PlannedQueue, planQueues } from '../plan/plan-queues.ts';
import { namespaceOfQueue } from '../queues/managed-queue.ts';
import type { QueueAlert } from '../store/queue-alerts.ts';
import type { NamespaceRecord } from '../store/records.ts';
import { openStoreToRead, type StoreReader } from '../store/read-only.ts';
import { createRehearsal } from './rehearsal.ts';

/** So many alerts are read at once. */
const PAGE = 1000;

/** What to plan. */
export interface PlanOptions {
  /** How far to look ahead, in ms since the epoch. */
  readonly untilMs: number;
  /** Only this one. */
  readonly namespace?: string | undefined;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/**
 * Plans what the agents of the installation would do next, and changes nothing.
 *
 * @throws AgentError when the store or the broker cannot be read
 */
export async function makePlan(config: Config, options: PlanOptions): Promise<Plan> {
  const { namespace, signal } = options;
  const clock = options.clock ?? systemClock;
  const management = openManagement(config);
  const store = await openStoreToRead(config.storeUrl.reveal());
  try {
    if (store.storeId === undefined) {
      throw new AgentError('StoreUnavailable', 'No agent has used this store: check STORE_URL, or start an agent.');
    }
    await assertNotForeign(management, { ...config, storeId: store.storeId }, { signal });
    const repairs: BrokerPlan['repairs'][number][] = [];
    const connections: BrokerPlan['connections'][number][] = [];
    const changes: Effect[] = [];
    const { parts, reconcile } = createRehearsal({
      config,
      store,
      management,
      clock,
      log: createLog({ logLevel: 'silent', id: config.id }),
      events: {
        emit(type, data) {
          if (type === 'account.repaired' && 'repaired' in data) {
            repairs.push({ namespace: data.namespace, account: data.account, why: data.repaired });
          } else if (type === 'connection.closed' && 'connection' in data && data.reason === 'age') {
            connections.push({ namespace: data.namespace, connection: data.connection });
          }
        },
      },
      onEffect: (effect) => changes.push(effect),
    });
    const fromMs = clock.nowMs();
    const span = { fromMs, untilMs: options.untilMs };
    const context = { intervals: parts.intervals, keys: parts.keyring, noticeMs: config.expiryNoticeSeconds * 1000 };
    const namespaces = await planNamespaces(store, span, context, { namespace, signal });
    const queues = await surveyed(config, store, management, fromMs, signal);
    const { unknown } = await reconcile(signal);
    const concerns = (one: { readonly namespace: string }): boolean =>
      namespace === undefined || one.namespace === namespace;
    return {
      ...span,
      namespaces,
      queues: queues.filter(concerns),
      broker: {
        repairs: repairs.filter(concerns),
        connections: connections.filter(concerns),
        changes: namespace === undefined ? changes : [],
        unknown: namespace === undefined ? unknown : [],
      },
    };
  } finally {
    management.close();
    await store.close();
  }
}

/** What a survey would do that sees the queues now. */
async function surveyed(
  config: Config,
  store: StoreReader,
  management: Management,
  nowMs: number,
  signal: AbortSignal,
): Promise<PlannedQueue[]> {
  const { namespacePrefix, exemptQueues, warnAtMessages, deleteAtMessages } = config;
  const alerts = new Map<string, QueueAlert>();
  for (let after: string | undefined, isLast = false; !isLast; ) {
    const page = await store.queueAlerts.list({ limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const alert of page) alerts.set(alert.queue, alert);
    after = page.at(-1)?.queue;
    isLast = page.length < PAGE;
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
