/** Times of {@link EventProof}, in ms. */
export interface ProofTimes {
  /** Without an event for this long the agent causes one. */
  readonly quietMs: number;
  /** Until it arrives, the agent causes another one this often: of several agents each event reaches one. */
  readonly retryMs: number;
  /** RabbitMQ sends no events when none has arrived this long after one was caused. */
  readonly silentMs: number;
}

export const PROOF_TIMES: ProofTimes = { quietMs: 120_000, retryMs: 2_000, silentMs: 30_000 };

/** What ends it when RabbitMQ sends no events: it takes its exchange for one without bindings. */
export const SILENCE_CURE =
  'Run "rabbitmq-plugins disable rabbitmq_event_exchange" and "rabbitmq-plugins enable rabbitmq_event_exchange" on every node.';

/** What is known of the arrival of events over one connection. Instants are in ms, by the monotonic clock. */
export interface EventProof {
  /** When the latest event arrived; undefined: none has. */
  readonly arrivedMs: number | undefined;
  /** Since when the agent tries to cause one; undefined: one has arrived since. */
  readonly askingSinceMs: number | undefined;
  /** When it tried last. */
  readonly triedMs: number | undefined;
  /** When it first succeeded since `askingSinceMs`. */
  readonly causedMs: number | undefined;
}

/**
 * - `proving`: no event has arrived yet;
 * - `arriving`: events arrive, by the latest one or because none is overdue;
 * - `silent`: RabbitMQ does not send those that the agent causes;
 * - `unknown`: the agent cannot cause any.
 */
export type ProofView = 'proving' | 'arriving' | 'silent' | 'unknown';

/** Of a connection that was opened just now. */
export const UNPROVEN: EventProof = {
  arrivedMs: undefined,
  askingSinceMs: undefined,
  triedMs: undefined,
  causedMs: undefined,
};

/** Any event proves it: RabbitMQ sends all or none. */
export function afterArrival(nowMs: number): EventProof {
  return { ...UNPROVEN, arrivedMs: nowMs };
}

export function afterTry(proof: EventProof, nowMs: number): EventProof {
  return { ...proof, askingSinceMs: proof.askingSinceMs ?? nowMs, triedMs: nowMs };
}

/** After a try that began at `triedMs` has succeeded. It may have arrived before. */
export function afterCause(proof: EventProof, triedMs: number, nowMs: number): EventProof {
  if (proof.askingSinceMs === undefined || triedMs < proof.askingSinceMs) return proof;
  return { ...proof, causedMs: proof.causedMs ?? nowMs };
}

/** Whether the agent has to cause an event now. */
export function isCauseDue(
  { arrivedMs, triedMs }: EventProof,
  { quietMs, retryMs, silentMs }: ProofTimes,
  nowMs: number,
  view: ProofView,
): boolean {
  // Once it is known, it is enough to notice when it ends.
  const pauseMs = view === 'silent' ? silentMs : retryMs;
  if (triedMs !== undefined) return nowMs - triedMs >= pauseMs;
  return arrivedMs === undefined || nowMs - arrivedMs >= quietMs;
}

/** What the proof says now. */
export function viewProof(
  { arrivedMs, askingSinceMs, causedMs }: EventProof,
  { silentMs }: ProofTimes,
  nowMs: number,
): ProofView {
  if (causedMs !== undefined && nowMs - causedMs >= silentMs) return 'silent';
  if (askingSinceMs !== undefined && causedMs === undefined && nowMs - askingSinceMs >= silentMs) return 'unknown';
  return arrivedMs === undefined ? 'proving' : 'arriving';
}
