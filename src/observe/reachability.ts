import { AgentError } from '../util/agent-errors.ts';
import { startDeadline, TimeoutError } from '../util/deadline.ts';
import type { HealthCheck } from './health.ts';

interface ReachabilityOptions {
  /** A call that succeeds whenever the other side works. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  /** The pause after a probe, in ms. */
  readonly everyMs: number;
  /** The pause before the probe after a failure, in ms: many failing calls must not cause many probes. */
  readonly soonMs: number;
  /** The time limit of a probe, in ms; a longer one counts as a failure. */
  readonly timeoutMs: number;
}

/** Whether the other side answers. */
export interface Reachability {
  readonly check: () => HealthCheck;
  /** A call failed: probe soon. Only the probe decides, as a call may fail for other reasons. */
  suspect(): void;
  close(): void;
}

/** Probes the other side until it is closed. */
export function watchReachability({ probe, everyMs, soonMs, timeoutMs }: ReachabilityOptions): Reachability {
  const closing = new AbortController();
  let latest: HealthCheck = { state: 'starting', reason: 'not probed yet' };
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
    // After a failure the next probe comes soon, so that a recovery shows soon.
    schedule(probeAgainSoon || latest.state !== 'up' ? soonMs : everyMs);
  };
  void run();

  return {
    check: () => latest,
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
  probe: ReachabilityOptions['probe'],
  timeoutMs: number,
  closing: AbortSignal,
): Promise<HealthCheck> {
  const deadline = startDeadline(timeoutMs, closing);
  try {
    await deadline.race(probe(closing));
    return { state: 'up' };
  } catch (error) {
    return { state: 'down', reason: reasonOf(error) };
  } finally {
    deadline.clear();
  }
}

/** Other errors may hold a secret. */
function reasonOf(error: unknown): string {
  if (error instanceof AgentError) return `${error.code}: ${error.message}`;
  return error instanceof TimeoutError ? error.message : 'the probe failed; see the log';
}
