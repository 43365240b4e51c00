/** What one step of `pulse-agent verify` found. */
export interface StepResult {
  /** `warning`: it works, and an operator should check it; `skipped`: it was not checked. */
  readonly outcome: 'ok' | 'warning' | 'failed' | 'skipped';
  /** What was found, as a clause. */
  readonly said: string;
  /** What to do about a warning or a failure, as a sentence. */
  readonly remedy?: string;
  /** False for a failure without which the installation serves all the same; otherwise as its step. */
  readonly essential?: boolean;
}

/** One thing that is checked. */
export interface Step {
  /** For scripts. */
  readonly name: string;
  /** What is checked, for people. */
  readonly about: string;
  /** The names of steps that must succeed first. */
  readonly needs: readonly string[];
  /** Whether the installation does not serve while the step fails; true when absent. */
  readonly essential?: boolean;
  /** How long it may take, in ms, for steps that take long. */
  readonly patienceMs?: number;
  /** An error that it throws is a failure of the step. */
  run(signal: AbortSignal): Promise<StepResult>;
}

/** A result with its step. */
export interface StepReport extends StepResult {
  readonly step: string;
  readonly about: string;
  readonly essential: boolean;
  readonly durationMs: number;
}

/** What a verification says in the end. `limited`: it serves, and something is missing. */
export type Verdict = 'works' | 'limited' | 'broken';

/** The verdict, and what is missing: what the failed steps are about. */
export function verdictOn(reports: readonly StepReport[]): {
  readonly verdict: Verdict;
  readonly missing: readonly string[];
} {
  const failures = reports.filter(({ outcome }) => outcome === 'failed');
  const missing = failures.map(({ about }) => about);
  if (failures.some(({ essential }) => essential)) return { verdict: 'broken', missing };
  return { verdict: failures.length === 0 ? 'works' : 'limited', missing };
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
