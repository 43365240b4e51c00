/** What one step of `verifyCommand` found. */
export interface StepResult {
  /** `warning`: it works, and somebody should look at it; `skipped`: it was not looked at. */
  readonly outcome: 'ok' | 'warning' | 'failed' | 'skipped';
  /** What was found, as a clause. */
  readonly said: string;
  /** What to do about it, as a sentence; for warnings and failures. */
  readonly remedy?: string;
}

/** One thing that is looked at. */
export interface Step {
  /** Its name for scripts. */
  readonly name: string;
  /** What it looks at, for people. */
  readonly about: string;
  /** Names of steps without which there is no sense in it. */
  readonly needs: readonly string[];
  /** How long it may take, in ms, where somebody who waits should know. */
  readonly patienceMs?: number;
  /** An error that it throws is a failure of the step. */
  run(signal: AbortSignal): Promise<StepResult>;
}

/** A finding with the step that it belongs to. */
export interface StepReport extends StepResult {
  readonly step: string;
  readonly about: string;
  readonly durationMs: number;
}

export function ok(said: string): StepResult {
  return { outcome: 'ok', said };
}

export function warning(said: string, remedy: string): StepResult {
  return { outcome: 'warning', said, remedy };
}

export function failed(said: string, remedy: string): StepResult {
  return { outcome: 'failed', said, remedy };
}

export function skipped(said: string): StepResult {
  return { outcome: 'skipped', said };
}
