/** What an agent knows of requests to itself, in ms of the monotonic clock; undefined: it has not happened. */
export interface RoundTripFacts {
  /** When the first probe was sent that no answer has followed. */
  readonly waitingSinceMs: number | undefined;
  /** Whether the broker has answered for that probe: it is in the request queue, or refused because that is full. */
  readonly isAccepted: boolean;
  /** When a probe was answered last, since this agent takes requests without interruption. */
  readonly answeredMs: number | undefined;
  /** Whether one ever was. */
  readonly wasAnswered: boolean;
  /** When the broker delivered a request last. */
  readonly takenMs: number | undefined;
  /** When a reply was confirmed last. */
  readonly repliedMs: number | undefined;
}

/** Whether a request that is sent now would be answered. */
export interface RoundTripCheck {
  readonly state: 'starting' | 'up' | 'down';
  readonly reason?: string;
}

/** The pause between two probes, in ms. */
export const PROBE_EVERY_MS = 2_000;

/** How long the answer to a probe may take while nothing else shows that requests are served, in ms. */
export const PROBE_PATIENCE_MS = 4_000;

/** A request is answered within nine seconds, and agents that are full take the next one then. In ms. */
const OVERLOAD_PATIENCE_MS = 10_000;

/**
 * Decides whether a request that is sent now would be answered: the latest probe was, or is not late yet.
 *
 * Under overload a probe waits in a long queue, or is refused by a full one. Then it would be answered as long as this agent is
 * given requests and replies to them: the queue has a leader, and clients wait in turn. Otherwise a flood would make all agents
 * unready at the same time, and none could serve it.
 */
export function checkRoundTrip(facts: RoundTripFacts, nowMs: number): RoundTripCheck {
  const { waitingSinceMs, isAccepted, answeredMs, wasAnswered, takenMs, repliedMs } = facts;
  const since = (atMs: number | undefined): number => nowMs - (atMs ?? -Infinity);
  const waitedMs = waitingSinceMs === undefined ? 0 : nowMs - waitingSinceMs;
  if (waitedMs <= PROBE_PATIENCE_MS) {
    if (since(answeredMs) <= PROBE_EVERY_MS + 2 * PROBE_PATIENCE_MS) return { state: 'up' };
    return failing(wasAnswered, 'no request of the agent to itself was answered since it takes requests');
  }
  // Without a leader nothing is delivered. Within the patience, so that what was delivered before does not count for long.
  const takenWithinMs = isAccepted ? OVERLOAD_PATIENCE_MS : PROBE_PATIENCE_MS;
  if (since(takenMs) <= takenWithinMs && since(repliedMs) <= OVERLOAD_PATIENCE_MS) return { state: 'up' };
  const waited = `for ${Math.round(waitedMs / 1000)} s`;
  return failing(
    wasAnswered,
    isAccepted
      ? `a request of the agent to itself is not answered ${waited}`
      : `the request queue has not taken a request ${waited}: it has no leader, or RabbitMQ takes no messages`,
  );
}

function failing(wasAnswered: boolean, reason: string): RoundTripCheck {
  return { state: wasAnswered ? 'down' : 'starting', reason };
}
