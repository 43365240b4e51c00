import type { ClusterGate } from '../broker/cluster.ts';
import { createRequestVhostSweep } from '../broker/sweep-request-vhost.ts';
import type { AgentContext } from '../context.ts';
import { formatInstant } from '../contract/fields.ts';
import type { Backoff } from '../namespaces/backoff.ts';
import type { ClockBounds } from '../namespaces/clock-bounds.ts';
import type { AnnounceExemptions } from '../namespaces/deletion/announce-exemptions.ts';
import type { Expiry } from '../namespaces/deletion/expire.ts';
import type { Reconcile } from '../namespaces/reconciliation/reconcile.ts';
import type { Repair } from '../namespaces/reconciliation/repair.ts';
import type { Revoker } from '../namespaces/revocation/revoke.ts';
import type { Rotation } from '../namespaces/rotation/rotate.ts';
import type { Notices } from '../notices/send-notices.ts';
import type { InspectQueues } from '../queues/inspect-queues.ts';
import type { SurveyQueues } from '../queues/survey-queues.ts';
import { isAgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';
import type { JobTable, RecurringJob, TriggeredJob, TriggeredJobName } from './jobs.ts';
import { createPrune } from './prune.ts';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The pause after a survey that failed, or whose agent died, in ms. */
const SURVEY_RETRY_MS = 5 * SECOND_MS;

interface NamespaceJobsParts {
  readonly rotation: Pick<Rotation, 'sweep'>;
  readonly expiry: Pick<Expiry, 'sweep' | 'announce'>;
  readonly reconcile: Reconcile;
}

interface JobTableParts extends NamespaceJobsParts {
  readonly rotation: Pick<Rotation, 'sweep' | 'checkSecrets'>;
  readonly announceExemptions: AnnounceExemptions;
  readonly revoker: Pick<Revoker, 'finish'>;
  readonly repair: Repair;
  readonly survey: SurveyQueues;
  readonly inspect: InspectQueues;
  readonly notices: Notices;
  readonly backoff: Pick<Backoff, 'failed' | 'succeeded'>;
  readonly bounds: Pick<ClockBounds, 'earliestMs'>;
}

/** Every job of an agent: its name, its interval, and what it runs. */
export function createJobTable(
  {
    config,
    store,
    log,
    management,
    cluster,
    reporters,
  }: Pick<AgentContext, 'config' | 'store' | 'log' | 'management' | 'cluster' | 'reporters'>,
  parts: JobTableParts,
): JobTable {
  const { rotation, revoker, repair, reconcile, survey, inspect, notices, backoff, bounds } = parts;
  const longestSurveyPauseMs = config.surveyIntervalSeconds * SECOND_MS;
  const sweepRequestVhost = createRequestVhostSweep({ ...config, management });
  return {
    recurring: [
      ...namespaceJobs({ config, log }, parts),
      { name: 'check-secrets', everyMs: HOUR_MS, run: (signal) => reportMissingSecrets(rotation, log, signal) },
      {
        name: 'survey-queues',
        everyMs: Math.min(SURVEY_RETRY_MS, longestSurveyPauseMs),
        longestPauseMs: longestSurveyPauseMs,
        // The longer the listing took, the later the next survey.
        run: async (signal) => (await survey(signal)).nextAfterMs,
      },
      {
        name: 'sweep-request-vhost',
        everyMs: config.reconcileIntervalSeconds * SECOND_MS,
        run: async (signal) => {
          if (!(await cluster.isOpen(signal))) return;
          const result = await sweepRequestVhost(signal);
          if (result.sources.length > 0) reporters.requestVhostSwept(result);
        },
      },
      { name: 'announce-exemptions', everyMs: SECOND_MS, run: (signal) => parts.announceExemptions(signal) },
      { name: 'send-notices', everyMs: SECOND_MS, run: (signal) => notices.sweep(signal) },
      {
        name: 'prune',
        everyMs: MINUTE_MS,
        run: createPrune({ store, bounds, log, auditRetentionDays: config.auditRetentionDays }),
      },
    ],
    triggered: triggeredJobs({
      'repair-account': withBackoff(backoff, 'repair', unlessSplit(cluster, repair)),
      'finish-revocation': withBackoff(backoff, 'revocation', (namespace, signal) => revoker.finish(namespace, signal)),
      'inspect-queue': (queue, signal) => inspect([queue], signal),
      'reconcile-broker-soon': onDemand(reconcile),
      'survey-queues-soon': onDemand(survey),
    }),
  };
}

/** The recurring jobs for namespaces, which a dry run has too. */
export function namespaceJobs(
  { config, log }: Pick<AgentContext, 'config' | 'log'>,
  { rotation, expiry, reconcile }: NamespaceJobsParts,
): RecurringJob[] {
  const announceBeforeMs = config.expiryAnnouncementSeconds * SECOND_MS;
  return [
    { name: 'rotate-namespaces', everyMs: SECOND_MS, run: (signal) => rotation.sweep(signal) },
    { name: 'expire-namespaces', everyMs: SECOND_MS, run: (signal) => expiry.sweep(signal) },
    {
      name: 'announce-expiry',
      // An announcement is late by at most a sixtieth of its notice.
      everyMs: Math.min(Math.max(announceBeforeMs / 60, SECOND_MS), MINUTE_MS),
      run: (signal) => expiry.announce(signal),
    },
    {
      name: 'reconcile-broker',
      everyMs: config.reconcileIntervalSeconds * SECOND_MS,
      run: (signal) => reconcileAndLog(reconcile, log, signal),
    },
  ];
}

/** Logs which agent secrets are missing here, and how many namespaces need each. */
export async function reportMissingSecrets(
  rotation: Pick<Rotation, 'checkSecrets'>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  for (const [secretId, { namespaces, lostSinceMs }] of await rotation.checkSecrets(signal)) {
    const lost = lostSinceMs === undefined ? {} : { lostSince: formatInstant(lostSinceMs) };
    const who = lostSinceMs === undefined ? 'this agent does not have' : 'no agent has';
    log.warn(
      { code: 'secret_missing', secretId, namespaces, ...lost },
      `${who} secret ${secretId}, which ${namespaces} namespaces need; add it to PULSE_AGENT_PREVIOUS_SECRETS, or, if it is lost, revoke those namespaces`,
    );
  }
}

async function reconcileAndLog(reconcile: Reconcile, log: Log, signal: AbortSignal): Promise<void> {
  const { unknown, ...counts } = await reconcile(signal);
  const fields = { ...counts, unknown: unknown.length };
  if (counts.repaired + counts.leftovers + counts.connections > 0) {
    log.info({ code: 'drift_repaired', ...fields }, 'reconciliation repaired drift');
  } else {
    log.debug({ code: 'no_drift', ...fields }, 'reconciliation found no drift');
  }
}

function triggeredJobs(runs: Readonly<Record<TriggeredJobName, TriggeredJob['run']>>): TriggeredJob[] {
  return Object.entries(runs).map(([name, run]) => ({ name, run }));
}

/** The on-demand form of a recurring job. It has no subject, so that the requests of several agents are one run. */
function onDemand(work: (signal: AbortSignal) => Promise<unknown>): TriggeredJob['run'] {
  return async (_subject, signal) => void (await work(signal));
}

/**
 * Work that the reconciliation after a split does in its place. Where the nodes cannot be listed it fails, which is reported,
 * as no reconciliation follows.
 */
function unlessSplit(cluster: ClusterGate, work: Repair): (subject: string, signal: AbortSignal) => Promise<void> {
  return async (subject, signal) => {
    try {
      await cluster.permit(signal);
    } catch (error) {
      if (isAgentError(error, 'BrokerSplit')) return;
      throw error;
    }
    if (cluster.status.is !== 'restoring') await work(subject, signal);
  };
}

/** Work for one namespace whose failure is reported. The next reconciliation does what failed. */
function withBackoff(
  backoff: JobTableParts['backoff'],
  kind: 'repair' | 'revocation',
  work: (namespace: string, signal: AbortSignal) => Promise<unknown>,
): TriggeredJob['run'] {
  return async (namespace, signal) => {
    try {
      await work(namespace, signal);
      backoff.succeeded(kind, namespace);
    } catch (error) {
      signal.throwIfAborted();
      backoff.failed(kind, namespace, error);
    }
  };
}
