import type { Clock } from '../util/clock.ts';

/**
 * The parts of an agent that can fail by themselves, and whether the agent needs them to serve. Without broker events it
 * serves everything, but detects external changes later; without statistics of RabbitMQ it cannot do some duties; with few
 * replicas of its queues the failure of one more node stops it.
 */
export const PARTS = {
  store: { required: true },
  management: { required: true },
  topology: { required: true },
  requests: { required: true },
  'round-trip': { required: true },
  replies: { required: true },
  auth: { required: true },
  alarms: { required: true },
  jobs: { required: true },
  // Changes wait meanwhile; claims of holders are served, and another agent could serve no more.
  cluster: { required: false },
  'broker-events': { required: false },
  statistics: { required: false },
  replicas: { required: false },
  deletions: { required: false },
} as const satisfies Record<string, { required: boolean }>;

/** A part of {@link PARTS}. */
export type PartName = keyof typeof PARTS;

/** `starting`: it has not been up since the agent started. */
export type PartState = 'starting' | 'up' | 'down';

/** The result of checking a part. The reason is for operators and holds no secret. */
export interface HealthCheck {
  readonly state: PartState;
  readonly reason?: string | undefined;
}

/** The report about a part. */
export interface PartReport extends HealthCheck {
  /** When it came into this state, in ISO 8601. */
  readonly since: string;
  readonly required: boolean;
}

/** The report about an agent. */
export interface HealthReport {
  readonly ready: boolean;
  /** Ready, although a part that is not required does not work. */
  readonly degraded: boolean;
  /** The agent takes no more requests and is about to exit. */
  readonly stopping: boolean;
  /** Those that are watched. */
  readonly parts: Readonly<Partial<Record<PartName, PartReport>>>;
}

/** The health of one agent. */
export interface Health {
  /** Replaces the check of a part. It runs every second and with every report: it must be cheap. */
  readonly watch: (part: PartName, check: () => HealthCheck) => void;
  /** Checks every part now. */
  report(): HealthReport;
  /** The agent begins to stop: it is not ready from now on. */
  readonly drain: () => void;
}

const STARTING: HealthCheck = { state: 'starting', reason: 'the agent has not started it yet' };

/** All parts. */
export const PART_NAMES = Object.keys(PARTS) as readonly PartName[];

/** The health of an agent with these parts, which are all `starting` until they are watched. */
export function createHealth(clock: Clock, names: readonly PartName[] = PART_NAMES): Health {
  const checks = new Map<PartName, () => HealthCheck>();
  const states = new Map<PartName, { state: PartState; sinceMs: number }>();
  const createdMs = clock.nowMs();
  let stopping = false;

  const checkPart = (part: PartName): PartReport => {
    const { state, reason } = (checks.get(part) ?? (() => STARTING))();
    let known = states.get(part) ?? { state: 'starting', sinceMs: createdMs };
    if (known.state !== state) known = { state, sinceMs: clock.nowMs() };
    states.set(part, known);
    const since = new Date(known.sinceMs).toISOString();
    return { state, since, required: PARTS[part].required, ...(state === 'up' || !reason ? {} : { reason }) };
  };

  return {
    watch: (part, check) => void checks.set(part, check),
    report() {
      const parts: Partial<Record<PartName, PartReport>> = {};
      for (const part of names) parts[part] = checkPart(part);
      const reports = Object.values(parts);
      const ready = !stopping && reports.every(({ state, required }) => state === 'up' || !required);
      return { ready, degraded: ready && reports.some(({ state }) => state !== 'up'), stopping, parts };
    },
    drain() {
      stopping = true;
    },
  };
}

/** The check of a connection: `starting` until it is there for the first time. */
export function checkConnection(isThere: () => boolean, reason: string): () => HealthCheck {
  let wasThere = false;
  return () => {
    const there = isThere();
    wasThere ||= there;
    return there ? { state: 'up' } : { state: wasThere ? 'down' : 'starting', reason };
  };
}

/** Whether the job scheduler polls its backend. */
export interface SchedulerHealth {
  /** A poll for due jobs succeeded, or failed. */
  readonly recordPoll: (succeeded: boolean) => void;
  readonly check: () => HealthCheck;
}

/** Every job is polled for twice a second: without a successful poll for this long, in ms, no job runs. */
const SCHEDULER_PATIENCE_MS = 10_000;

/** The health of the scheduler: `starting` until its first successful poll. */
export function createSchedulerHealth(clock: Pick<Clock, 'monotonicMs'>): SchedulerHealth {
  let polledMs: number | undefined;
  return {
    recordPoll(succeeded) {
      if (succeeded) polledMs = clock.monotonicMs();
    },
    check() {
      if (polledMs === undefined) return { state: 'starting', reason: 'no poll for due jobs has succeeded yet' };
      if (clock.monotonicMs() - polledMs <= SCHEDULER_PATIENCE_MS) return { state: 'up' };
      return { state: 'down', reason: `no poll for due jobs has succeeded for ${SCHEDULER_PATIENCE_MS / 1000} s` };
    },
  };
}
