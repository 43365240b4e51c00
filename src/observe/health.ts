import type { Clock } from '../util/clock.ts';

/**
 * What an agent is made of, as far as it can fail by itself, and whether the agent can serve without it. Without broker
 * events everything is served; what others change is found later.
 */
export const PARTS = {
  store: { required: true },
  management: { required: true },
  topology: { required: true },
  requests: { required: true },
  replies: { required: true },
  auth: { required: true },
  alarms: { required: true },
  jobs: { required: true },
  'broker-events': { required: false },
} as const satisfies Record<string, { required: boolean }>;

/** A part of {@link PARTS}. */
export type PartName = keyof typeof PARTS;

/** `starting`: it was not up since the agent began. */
export type PartState = 'starting' | 'up' | 'down';

/** What one look at a part shows. The reason is for operators and holds no secret. */
export interface HealthCheck {
  readonly state: PartState;
  readonly reason?: string | undefined;
}

/** What is told of a part. */
export interface PartReport extends HealthCheck {
  /** When it came into this state, in ISO 8601. */
  readonly since: string;
  readonly required: boolean;
}

/** What is told of an agent. */
export interface HealthReport {
  readonly ready: boolean;
  /** Ready, and a part that is not required does not work. */
  readonly degraded: boolean;
  /** The agent takes no more requests, and will end. */
  readonly stopping: boolean;
  readonly parts: Readonly<Record<PartName, PartReport>>;
}

/** The health of one agent. */
export interface Health {
  /** From now on the part is as `look` says. It is asked often, and at once when somebody asks: it must be cheap. */
  readonly watch: (part: PartName, look: () => HealthCheck) => void;
  /** Looks at every part now. */
  report(): HealthReport;
  /** The agent begins to stop: it is not ready any more. */
  readonly stop: () => void;
}

const STARTING: HealthCheck = { state: 'starting', reason: 'the agent has not come to it yet' };

/** Every part is starting until it is watched. */
export function createHealth(clock: Clock): Health {
  const names = Object.keys(PARTS) as PartName[];
  const looks = new Map<PartName, () => HealthCheck>();
  const states = new Map<PartName, { state: PartState; sinceMs: number }>();
  const begunMs = clock.nowMs();
  let stopping = false;

  const lookAt = (part: PartName): PartReport => {
    const { state, reason } = (looks.get(part) ?? (() => STARTING))();
    let known = states.get(part) ?? { state: 'starting', sinceMs: begunMs };
    if (known.state !== state) known = { state, sinceMs: clock.nowMs() };
    states.set(part, known);
    const since = new Date(known.sinceMs).toISOString();
    return { state, since, required: PARTS[part].required, ...(state === 'up' || !reason ? {} : { reason }) };
  };

  return {
    watch: (part, look) => void looks.set(part, look),
    report() {
      const parts = Object.fromEntries(names.map((part) => [part, lookAt(part)])) as Record<PartName, PartReport>;
      const reports = Object.values(parts);
      const ready = !stopping && reports.every(({ state, required }) => state === 'up' || !required);
      return { ready, degraded: ready && reports.some(({ state }) => state !== 'up'), stopping, parts };
    },
    stop() {
      stopping = true;
    },
  };
}

/** A look at what is there or not; it is starting until it was there once. */
export function checkConnection(isThere: () => boolean, reason: string): () => HealthCheck {
  let wasThere = false;
  return () => {
    const there = isThere();
    wasThere ||= there;
    return there ? { state: 'up' } : { state: wasThere ? 'down' : 'starting', reason };
  };
}
