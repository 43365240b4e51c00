/** What one step of `pulse-agent verify` found. */
export interface StepResult {
  /** `warning`: it works, and an operator should check it; `skipped`: it was not checked. */
  readonly outcome: 'ok' | 'warning' | 'failed' | 'skipped';
  /** What was found, as a clause. */
  readonly said: string;
  /** What to do about a warning or a failure, as a sentence. */
  readonly remedy?: string;
}

/** One thing that is checked. */
export interface Step {
  /** For scripts. */
  readonly name: string;
  /** What is checked, for people. */
  readonly about: string;
  /** The names of steps that must succeed first. */
  readonly needs: readonly string[];
  /** How long it may take, in ms, for steps that take long. */
  readonly patienceMs?: number;
  /** An error that it throws is a failure of the step. */
  run(signal: AbortSignal): Promise<StepResult>;
}

/** A result with its step. */
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
