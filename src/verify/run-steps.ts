import type { Clock } from '../util/clock.ts';
import { PulseAgentError } from '../client/client-errors.ts';
import { WireError } from '../contract/wire-errors.ts';
import { AgentError, TO_SEE_WHERE } from '../util/agent-errors.ts';
import { failed, type StepResult, skipped, type Step, type StepReport } from './step.ts';

/** What {@link runSteps} works with. */
export interface RunStepsOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called before each step that runs. */
  readonly onBegin?: (step: Step) => void;
  /** Called after each step. */
  readonly onReport: (report: StepReport) => void;
  /** Called with what a step threw, before its report: with the stack, and unredacted. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Runs the steps one after the other and resolves with what they found. One that needs a step which did not succeed is
 * skipped: a single fault should not look like ten.
 *
 * @throws the signal's reason when it aborts; steps that come after it do not run
 */
export async function runSteps(steps: readonly Step[], options: RunStepsOptions): Promise<StepReport[]> {
  const { clock, signal, onReport } = options;
  const reports: StepReport[] = [];
  const unmet = new Set<string>();
  for (const step of steps) {
    signal.throwIfAborted();
    const startedMs = clock.monotonicMs();
    const missing = step.needs.find((name) => unmet.has(name));
    const finding =
      missing === undefined ? await runStep(step, options) : skipped(`it needs "${missing}", which did not succeed`);
    if (finding.outcome === 'failed' || finding.outcome === 'skipped') unmet.add(step.name);
    const durationMs = Math.round(clock.monotonicMs() - startedMs);
    const report: StepReport = { step: step.name, about: step.about, ...finding, durationMs };
    reports.push(report);
    onReport(report);
  }
  return reports;
}

async function runStep(step: Step, { signal, onBegin, onError }: RunStepsOptions): Promise<StepResult> {
  onBegin?.(step);
  try {
    return await step.run(signal);
  } catch (error) {
    signal.throwIfAborted();
    onError?.(error);
    return findingOf(error);
  }
}

/** The messages of the error tables say what to do. */
function findingOf(error: unknown): StepResult {
  if (error instanceof AgentError || error instanceof PulseAgentError || error instanceof WireError) {
    return failed(error.code, error.message);
  }
  return failed(
    error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error),
    `Look into the log of the agent, and ${TO_SEE_WHERE}.`,
  );
}
