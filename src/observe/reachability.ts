import { AgentError } from '../util/agent-errors.ts';
import type { HealthCheck } from './health.ts';

/** What {@link watchReachability} needs. */
export interface ReachabilityParts {
  /** Asks the other side for something that it always gives; rejects when it does not. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  /** The pause after a probe, in ms. */
  readonly everyMs: number;
  /** The pause after one that was asked for, in ms: many failing calls must not become many probes. */
  readonly soonMs: number;
  /** A probe that takes longer shows that the other side hangs, in ms. */
  readonly timeoutMs: number;
}

/** Whether the other side answers. */
export interface Reachability {
  readonly look: () => HealthCheck;
  /** A call failed: look soon. Only the probe decides, as a call may fail for reasons of its own. */
  suspect(): void;
  close(): void;
}

/** Probes for as long as it is not closed. */
export function watchReachability({ probe, everyMs, soonMs, timeoutMs }: ReachabilityParts): Reachability {
  const closing = new AbortController();
  let latest: HealthCheck = { state: 'starting', reason: 'it was not asked yet' };
  let timer: NodeJS.Timeout | undefined;
  let probing = false;
  let probeAgainSoon = false;

  const schedule = (delayMs: number): void => {
    clearTimeout(timer);
    if (closing.signal.aborted) return;
    timer = setTimeout(() => void run(), delayMs).unref();
  };
  const run = async (): Promise<void> => {
    probing = true;
    probeAgainSoon = false;
    latest = await outcomeOf(probe, timeoutMs, closing.signal);
    probing = false;
    // What is down is looked at again soon, so that it is not told for long after it is over.
    schedule(probeAgainSoon || latest.state !== 'up' ? soonMs : everyMs);
  };
  void run();

  return {
    look: () => latest,
    suspect() {
      if (probing || probeAgainSoon) return;
      probeAgainSoon = true;
      schedule(soonMs);
    },
    close() {
      closing.abort(new Error('The agent stops.'));
      clearTimeout(timer);
    },
  };
}

async function outcomeOf(
  probe: ReachabilityParts['probe'],
  timeoutMs: number,
  closing: AbortSignal,
): Promise<HealthCheck> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HealthCheck>((resolve) => {
    const reason = `no answer within ${timeoutMs} ms`;
    timer = setTimeout(() => resolve({ state: 'down', reason }), timeoutMs).unref();
  });
  const answered = probe(closing).then(
    (): HealthCheck => ({ state: 'up' }),
    // Only an AgentError is known to hold no secret.
    (error: unknown): HealthCheck => ({
      state: 'down',
      reason: error instanceof AgentError ? `${error.code}: ${error.message}` : 'it failed; the log has more',
    }),
  );
  return await Promise.race([answered, late]).finally(() => clearTimeout(timer));
}
