import type { Clock } from '../util/clock.ts';
import { PulseAgentError } from '../client/client-errors.ts';
import { WireError } from '../contract/wire-errors.ts';
import { AgentError, HOW_TO_LOCATE } from '../util/agent-errors.ts';
import { failed, type StepResult, skipped, type Step, type StepReport } from './step.ts';

export interface RunStepsOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called before each step that runs. */
  readonly onBegin?: (step: Step) => void;
  /** Called after each step. */
  readonly onReport: (report: StepReport) => void;
  /** Called with the error of a step before its report: with the stack, and not redacted. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Runs the steps in order and resolves with their reports. A step that needs one which did not succeed is skipped, so that
 * one fault is reported once.
 *
 * @throws the reason of the signal when it aborts
 */
export async function runSteps(steps: readonly Step[], options: RunStepsOptions): Promise<StepReport[]> {
  const { clock, signal, onReport } = options;
  const reports: StepReport[] = [];
  const unmet = new Set<string>();
  for (const step of steps) {
    signal.throwIfAborted();
    const startedMs = clock.monotonicMs();
    const missing = step.needs.find((name) => unmet.has(name));
    const result =
      missing === undefined
        ? await runStep(step, options)
        : skipped(`needs the step ${missing}, which did not succeed`);
    if (result.outcome === 'failed' || result.outcome === 'skipped') unmet.add(step.name);
    const durationMs = Math.round(clock.monotonicMs() - startedMs);
    const essential = result.essential ?? step.essential ?? true;
    const report: StepReport = { step: step.name, about: step.about, ...result, essential, durationMs };
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
    return resultOfError(error);
  }
}

/** The result of a step that threw. The messages of the project's own errors say what to do. */
export function resultOfError(error: unknown): StepResult {
  if (error instanceof AgentError || error instanceof PulseAgentError || error instanceof WireError) {
    return failed(error.code, error.message);
  }
  return failed(
    error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error),
    `Check the log of the agent, and ${HOW_TO_LOCATE}.`,
  );
}
