import type { Management } from '../broker/management/management.ts';
import { SIGNED_PORT } from '../contract/signature.ts';
import type { TaskclusterAuth } from '../requests/taskcluster-auth.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from '../util/clock.ts';
import {
  createHealth,
  createSchedulerHealth,
  type Health,
  type HealthCheck,
  type PartName,
  type SchedulerHealth,
} from './health.ts';
import { createJobRuns, type JobRuns } from './job-runs.ts';
import { type Reachability, watchReachability } from './reachability.ts';

/** The alarms of the broker that this agent knows of. */
export interface WatchedAlarms {
  readonly active: ReadonlyMap<string, { readonly alarm: string; readonly node: string }>;
  /** How long ago they were listed, in ms; infinite before the first listing. */
  ageMs(): number;
  /** Lists them again. */
  refresh(): Promise<void>;
}

/** How well an agent works: what it reports over HTTP and in its record, with or without metrics. */
export interface VitalSigns {
  readonly health: Health;
  readonly jobRuns: JobRuns;
  readonly scheduler: SchedulerHealth;
  /** Undefined before they are watched, and while they are unknown. */
  readonly currentAlarms: () => WatchedAlarms | undefined;
  readonly watchAlarms: (alarms: WatchedAlarms) => void;
  /** Each probes its part from then on; a call that failed is to be reported to the result. */
  readonly probeManagement: (management: Pick<Management, 'whoAmI'>) => Reachability;
  readonly probeStore: (store: Pick<Store, 'check'>) => Reachability;
  readonly probeAuthenticator: (authenticator: Pick<TaskclusterAuth, 'probe'>) => Reachability;
  /** Checks the health every second, so that `since` is exact to this. */
  readonly start: () => void;
  readonly close: () => void;
}

interface VitalSignsOptions {
  /** The agent's id. */
  readonly id: string;
  readonly clock: Clock;
  /** The parts that are watched. */
  readonly parts: readonly PartName[];
}

/** How often health is checked without a request, in ms. */
const CHECK_EVERY_MS = 1_000;
/** Alarms that were listed longer ago, in ms, are unknown: they are listed every 5 s. */
const ALARMS_KEPT_MS = 30_000;
/** `timeoutMs` is as long as a call of the store or of the management API may take. */
const PROBES = { everyMs: 5_000, soonMs: 1_000, timeoutMs: 5_000 } as const;
/** Taskcluster refuses it without looking up a client: it needs no credentials, and the refusal is an answer. */
const NO_SIGNATURE = 'Hawk';

/** The vital signs of one agent. */
export function createVitalSigns({ id, clock, parts }: VitalSignsOptions): VitalSigns {
  const health = createHealth(clock, parts);
  const scheduler = createSchedulerHealth(clock);
  health.watch('jobs', scheduler.check);
  const probed: Reachability[] = [];
  let alarms: WatchedAlarms | undefined;
  let checking: NodeJS.Timeout | undefined;

  const probePart = (part: PartName, probe: (signal: AbortSignal) => Promise<unknown>): Reachability => {
    const reachability = watchReachability({ probe, ...PROBES });
    probed.push(reachability);
    health.watch(part, reachability.check);
    return reachability;
  };

  return {
    health,
    jobRuns: createJobRuns(clock),
    scheduler,
    currentAlarms: () => (alarms === undefined || alarms.ageMs() > ALARMS_KEPT_MS ? undefined : alarms),
    watchAlarms(watched) {
      alarms = watched;
      health.watch('alarms', () => checkAlarms(watched));
    },
    // Its probe lists the alarms, once they are watched.
    probeManagement: (management) =>
      probePart('management', (signal) => alarms?.refresh() ?? management.whoAmI({ signal })),
    probeStore: (store) => probePart('store', () => store.check()),
    probeAuthenticator(authenticator) {
      const resource = '/v1/health';
      const request = { method: 'post', resource, host: id, port: SIGNED_PORT, authorization: NO_SIGNATURE } as const;
      return probePart('auth', (signal) => authenticator.probe(request, signal));
    },
    start() {
      checking = setInterval(() => health.report(), CHECK_EVERY_MS).unref();
    },
    close() {
      clearInterval(checking);
      for (const reachability of probed) reachability.close();
    },
  };
}

function checkAlarms(alarms: WatchedAlarms): HealthCheck {
  const { active } = alarms;
  if (active.size === 0) {
    const ageMs = alarms.ageMs();
    if (ageMs <= ALARMS_KEPT_MS) return { state: 'up' };
    if (ageMs === Infinity) return { state: 'starting', reason: 'the alarms of RabbitMQ are not listed yet' };
    return { state: 'down', reason: `unknown: RabbitMQ has listed no alarms for ${Math.round(ageMs / 1000)} s` };
  }
  const set = [...active.values()].map(({ alarm, node }) => `${alarm} on ${node || 'a node'}`);
  return { state: 'down', reason: `RabbitMQ takes no messages: ${set.join(', ')}` };
}
