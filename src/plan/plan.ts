import { type Clock, type Sleep, systemClock, systemSleep } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { MEASURE_GROWTH_MS } from '../queues/measure-growth.ts';
import { type QueueReport, sortQueueReports } from '../queues/queue-report.ts';
import { createLog } from '../util/log.ts';
import { type PlannedStep, planNamespaces } from './plan-namespaces.ts';
import type { PlannedQueue } from './plan-queues.ts';
import type { Change } from './overlay-entries.ts';
import { readExemptions } from '../store/paged-listing.ts';
import { exemptionsInForce, type QueueExemption } from '../store/queue-exemption-records.ts';
import { planSurvey } from './plan-survey.ts';
import { createOverlay } from './overlay.ts';
import { type Installation, withInstallation } from './with-installation.ts';
import { startReportOnAlerts } from './report-queues.ts';

/** What the agents will do next, and why. */
export interface Plan {
  /** The span of the plan, in ms since the epoch. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** In chronological order. */
  readonly namespaces: readonly PlannedStep[];
  /** What a survey of the queues would do now. */
  readonly queues: readonly PlannedQueue[];
  /**
   * The other queues whose owners were warned, and when they are deleted at their present rate: what reaches that first comes
   * first.
   */
  readonly warned: readonly QueueReport[];
  /** The queues that an operator exempted from deletion. */
  readonly exemptions: readonly QueueExemption[];
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
  readonly sleep?: Sleep;
  /** How long to measure the growth of queues with an alert, in ms; {@link MEASURE_GROWTH_MS} when absent. */
  readonly measureMs?: number;
  /** Called before the plan waits for that. */
  readonly onMeasuring?: (queues: number, overMs: number) => void;
}

/**
 * Plans what the agents of the installation will do next, and changes nothing.
 *
 * @throws AgentError when the store or the broker cannot be read
 */
export async function makePlan(config: Config, options: PlanOptions): Promise<Plan> {
  return await withInstallation(config, options.signal, (installation) =>
    planInstallation(config, installation, options),
  );
}

async function planInstallation(
  config: Config,
  { store, management }: Installation,
  options: PlanOptions,
): Promise<Plan> {
  const { namespace, signal, measureMs = MEASURE_GROWTH_MS } = options;
  const { clock = systemClock, sleep = systemSleep } = options;
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
  const exemptions = [...exemptionsInForce(await readExemptions(store.queueExemptions), fromMs).values()];
  const context = {
    intervals: overlay.intervals,
    keyring: overlay.keyring,
    announceBeforeMs: config.expiryAnnouncementSeconds * 1000,
    // In this order the latest of a namespace stays in the map.
    exemptions: new Map(exemptions.toSorted((a, b) => a.untilMs - b.untilMs).map((one) => [one.namespace, one])),
  };
  const alerted = await startReportOnAlerts({ config, store, management, clock, sleep }, { namespace, signal });
  const namespaces = await planNamespaces(store, span, context, { namespace, signal });
  const queues = await planSurvey(config, store, management, fromMs, signal);
  const { unknown } = await overlay.reconcile(signal);
  if (alerted.size > 0) options.onMeasuring?.(alerted.size, measureMs);
  const reports = await alerted.finish(measureMs);
  const concerns = (one: { readonly namespace: string }): boolean =>
    namespace === undefined || one.namespace === namespace;
  return {
    ...span,
    namespaces,
    queues: queues.filter(concerns),
    exemptions: exemptions.filter(concerns),
    warned: sortQueueReports(
      reports.filter(({ queue, state }) => state === 'warned' && !queues.some((planned) => planned.queue === queue)),
      'next',
    ),
    broker: {
      repairs: repairs.filter(concerns),
      connections: connections.filter(concerns),
      changes: namespace === undefined ? changes : [],
      unknown: namespace === undefined ? unknown : [],
    },
  };
}
