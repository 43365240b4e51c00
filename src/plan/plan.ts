import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { AgentError } from '../util/agent-errors.ts';
import { createLog } from '../util/log.ts';
import { type PlannedStep, planNamespaces } from './plan-namespaces.ts';
import type { PlannedQueue } from './plan-queues.ts';
import type { Change } from './overlay-entries.ts';
import { openStoreToRead } from '../store/open-store-to-read.ts';
import { planSurvey } from './plan-survey.ts';
import { createOverlay } from './overlay.ts';

/** What the agents will do next, and why. */
export interface Plan {
  /** The span of the plan, in ms since the epoch. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** In chronological order. */
  readonly namespaces: readonly PlannedStep[];
  /** What a survey of the queues would do now. */
  readonly queues: readonly PlannedQueue[];
  /** What a reconciliation would repair now. */
  readonly broker: BrokerPlan;
}

/** What a reconciliation would do. */
export interface BrokerPlan {
  /** Accounts that drifted from their records, and what differs. */
  readonly repairs: readonly {
    readonly namespace: string;
    readonly account: string;
    readonly why: readonly string[];
  }[];
  /** Connections that have reached their maximum age. */
  readonly connections: readonly { readonly namespace: string; readonly connection: string }[];
  /** Every change that would be made. */
  readonly changes: readonly Change[];
  /** Users without a record that match the account naming scheme; they are left untouched. */
  readonly unknown: readonly string[];
}

/** What to plan. */
export interface PlanOptions {
  /** The end of the plan, in ms since the epoch. */
  readonly untilMs: number;
  /** Only this namespace. */
  readonly namespace?: string | undefined;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/**
 * Plans what the agents of the installation will do next, and changes nothing.
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
    const changes: Change[] = [];
    const overlay = createOverlay({
      config,
      store,
      management,
      clock,
      log: createLog({ logLevel: 'silent', id: config.id }),
      events: {
        emit(type, data) {
          if (type === 'account.repaired' && 'repaired' in data) {
            repairs.push({ namespace: data.namespace, account: data.account, why: data.repaired });
          }
        },
      },
      audit: {
        record({ action, namespace: owner, subject, reason }) {
          if (action !== 'connection-closing' || reason !== 'age' || !owner || !subject) return;
          connections.push({ namespace: owner, connection: subject });
        },
      },
      onChange: (change) => changes.push(change),
    });
    const fromMs = clock.nowMs();
    const span = { fromMs, untilMs: options.untilMs };
    const context = {
      intervals: overlay.intervals,
      keyring: overlay.keyring,
      announceBeforeMs: config.expiryAnnouncementSeconds * 1000,
    };
    const namespaces = await planNamespaces(store, span, context, { namespace, signal });
    const queues = await planSurvey(config, store, management, fromMs, signal);
    const { unknown } = await overlay.reconcile(signal);
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
