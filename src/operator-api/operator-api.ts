import type { ClusterWatch } from '../broker/cluster.ts';
import type { ShownConfiguration } from '../config/shown-settings.ts';
import type { AgentContext } from '../context.ts';
import type { Namespaces } from '../namespaces/namespaces.ts';
import type { Health } from '../observe/health.ts';
import type { RiskyChoice } from '../observe/risky-choices.ts';
import { createNamespaceCounts } from '../queues/namespace-counts.ts';
import type { DepthObserver } from '../queues/survey-queues.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { createReadAudit } from './audit-reads.ts';
import { createDepthWatch, type DepthWatch } from './depth-watch.ts';
import { type ApiEndpoint, endpointsOf } from './endpoint.ts';
import { createReadHealth, createReadOverview } from './health-reads.ts';
import { createReadNamespaceDetail } from './namespace-detail.ts';
import { createReadNamespaces } from './namespace-reads.ts';
import { createNamespaceTable } from './namespace-table.ts';
import { createOthersFailing, type OthersFailing } from './others-failing.ts';
import { createPlanSteps, createReadPlan } from './plan-reads.ts';
import { createReadQueueHistory, createReadQueues } from './queue-reads.ts';
import { createQueueTable } from './queue-table.ts';
import { createStatusSnapshot, type StatusParts } from './status-snapshot.ts';

/** The data of the operators' page. */
export interface OperatorApi {
  readonly endpoints: readonly ApiEndpoint[];
}

/** What the data are read from, besides the context. */
export interface OperatorApiParts extends Pick<StatusParts, 'requestCounts'> {
  readonly namespaces: Pick<Namespaces, 'intervals' | 'keyring' | 'backoff'>;
  readonly health: Pick<Health, 'report'>;
  readonly cluster: Pick<ClusterWatch, 'status'>;
  /** When the agent started, by the monotonic clock. */
  readonly startedMs: number;
  readonly risks: () => readonly RiskyChoice[];
  /** The settings with which the agent started; undefined: it was not started with files and variables. */
  readonly shown?: ShownConfiguration | undefined;
}

/** What the data of the page are read with, from the start of the agent on. */
export interface OperatorData {
  /** Surveys give it what they list. */
  readonly depths: DepthObserver;
  /** Takes the events of all agents. */
  readonly observeEvent: OthersFailing['observe'];
  start(parts: OperatorApiParts): OperatorApi;
  close(): Promise<void>;
}

type OperatorContext = Pick<AgentContext, 'config' | 'instance' | 'clock' | 'sleep' | 'log' | 'management'> & {
  readonly store: Omit<StoreReader, 'close'>;
};

/** Creates the data of the page. It reads the store and the broker while a page is open, and changes nothing. */
export function createOperatorData(context: OperatorContext): OperatorData {
  const watch = createDepthWatch(context);
  const othersFailing = createOthersFailing(context.instance, context.clock);
  return {
    depths: watch.history,
    observeEvent: (event) => othersFailing.observe(event),
    start(parts) {
      const { endpoints, releaseUnused } = createOperatorApi(context, { ...parts, watch, othersFailing });
      watch.start(releaseUnused);
      return { endpoints };
    },
    close: () => watch.close(),
  };
}

function createOperatorApi(
  context: OperatorContext,
  parts: OperatorApiParts & { readonly watch: DepthWatch; readonly othersFailing: OthersFailing },
): OperatorApi & { readonly releaseUnused: () => void } {
  const { clock } = context;
  const { watch, namespaces, shown, othersFailing } = parts;
  const table = createNamespaceTable(context);
  const queues = createQueueTable({ ...context, depths: watch, namespaces: table });
  const status = createStatusSnapshot({ ...context, ...parts });
  const readCounts = createNamespaceCounts(context);
  const plan = createPlanSteps({ ...context, ...namespaces, queues });
  const healthParts = { ...context, ...parts, shown, status, queues };
  return {
    releaseUnused() {
      for (const snapshot of [table, queues, status]) snapshot.releaseUnused();
    },
    endpoints: endpointsOf({
      overview: createReadOverview(healthParts),
      namespaces: createReadNamespaces(table, readCounts),
      namespace: createReadNamespaceDetail({
        ...context,
        queues,
        readCounts,
        plan,
        othersFailing,
        backoff: namespaces.backoff,
      }),
      queues: createReadQueues(queues),
      queueHistory: createReadQueueHistory(queues, watch),
      plan: createReadPlan(plan, clock),
      audit: createReadAudit(context),
      health: createReadHealth(healthParts),
    }),
  };
}
