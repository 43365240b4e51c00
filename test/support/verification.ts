import type { Config } from '../../src/config/config.ts';
import { systemClock } from '../../src/util/clock.ts';
import { runSteps } from '../../src/verify/run-steps.ts';
import type { Step, StepReport } from '../../src/verify/step.ts';
import { createVerification, type VerificationOptions } from '../../src/verify/verification.ts';

/** The reports of `pulse-agent verify`; without the end-to-end check, unless given. `wanted` leaves out the other steps. */
export async function runVerification(
  config: Config,
  options: Partial<VerificationOptions> = {},
  wanted: (step: Step) => boolean = () => true,
): Promise<readonly StepReport[]> {
  const all = { endToEnd: false, overgrown: false, isProduction: false, ...options };
  const verification = createVerification(config, all);
  const { signal } = new AbortController();
  try {
    const steps = verification.steps.filter(wanted);
    return await runSteps(steps, { clock: systemClock, signal, onReport: () => undefined });
  } finally {
    await verification.close();
  }
}
