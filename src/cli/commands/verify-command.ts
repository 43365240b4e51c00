import { createVerification } from '../../verify/verification.ts';
import { loadConfig } from '../../config/config.ts';
import { systemClock } from '../../util/clock.ts';
import type { StepReport } from '../../verify/step.ts';
import { runSteps } from '../../verify/run-steps.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { debugError } from '../explain-error.ts';
import { EXIT } from '../exit-codes.ts';
import type { Style } from '../output.ts';
import { printable } from '../table.ts';

const MARKS = { ok: 'ok', warning: 'look', failed: 'FAIL', skipped: '-' } as const;

/** Proves an installation, step by step. */
export const verifyCommand: DefineCommand = (command, context) => {
  const { env, output, signal } = context;
  command
    .description(
      `Proves an installation from outside, step by step, with a remedy for each failure.

It takes the configuration of an agent and a running agent. It is safe in production and can be repeated: all that it makes is a namespace of its own, <prefix>verify-<random>, which it releases, and for a moment a document in MongoDB. For that round TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN must have the scope pulse:namespace:<prefix>verify-*.

It exits with 0 when nothing failed, warnings or not.`,
    )
    .option('--no-round', 'claim nothing: look only')
    .option('--overgrown', 'in the round, fill a queue until it is deleted; as the agents do within a few surveys')
    .addHelpText(
      'after',
      examples([
        ['after installing or upgrading', 'pulse-agent verify'],
        [
          'for a script: what failed',
          'pulse-agent verify --json | jq -r \'.steps[] | select(.outcome == "failed") | .remedy\'',
        ],
      ]),
    )
    .action(async ({ round, overgrown }) => {
      const verification = createVerification(loadConfig(env), {
        endToEnd: round,
        overgrown: overgrown ?? false,
        isProduction: env['NODE_ENV'] === 'production',
        firstClaimUrl: env['PULSE_AGENT_URL'],
      });
      try {
        const steps = await runSteps(verification.steps, {
          clock: systemClock,
          signal,
          onBegin({ about, patienceMs }) {
            if (patienceMs !== undefined) output.note(`${about}: this may take up to ${patienceMs / 1000} s`);
          },
          onError: debugError,
          onReport: (report) => {
            if (!output.json) output.print(report, (style) => lineOf(report, style));
          },
        });
        const counts = countsOf(steps);
        if (counts.failed > 0) context.exitCode = EXIT.failed;
        output.print(
          { well: counts.failed === 0, ...counts, steps },
          (style) =>
            `\n${counts.failed === 0 ? style.good('The installation works') : style.bad('The installation does not work')}: ${counts.ok} ok, ${counts.warnings} to look at, ${counts.failed} failed, ${counts.skipped} left out.`,
        );
      } finally {
        await verification.close();
      }
    });
};

function countsOf(steps: readonly StepReport[]) {
  const count = (wanted: StepReport['outcome']): number => steps.filter(({ outcome }) => outcome === wanted).length;
  return { ok: count('ok'), warnings: count('warning'), failed: count('failed'), skipped: count('skipped') };
}

function lineOf({ about, outcome, said, remedy }: StepReport, style: Style): string {
  const look = { ok: style.good, warning: style.doubtful, failed: style.bad, skipped: style.quiet }[outcome];
  const line = `${look(MARKS[outcome].padEnd(4))}  ${about}: ${printable(said)}`;
  return remedy === undefined ? line : `${line}\n      ${style.heading('→')} ${printable(remedy)}`;
}
