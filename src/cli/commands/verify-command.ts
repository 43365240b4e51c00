import { createVerification } from '../../verify/verification.ts';
import { loadConfig } from '../../config/config.ts';
import { serviceLinks } from '../../config/environment.ts';
import { systemClock } from '../../util/clock.ts';
import { type StepReport, verdictOn } from '../../verify/step.ts';
import { runSteps } from '../../verify/run-steps.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { debugError } from '../explain-error.ts';
import { EXIT } from '../exit-codes.ts';
import type { Style } from '../output.ts';
import { printable } from '../table.ts';

const LABELS = { ok: 'ok', warning: 'warn', failed: 'FAIL', skipped: 'skip' } as const;

/** The label of a failed step without which the installation serves. */
const LACK = 'LACK';

const VERDICTS = {
  works: { exitCode: EXIT.ok, format: 'good', text: 'The installation works' },
  limited: { exitCode: EXIT.limited, format: 'doubtful', text: 'The installation works with limits' },
  broken: { exitCode: EXIT.failed, format: 'bad', text: 'The installation does not work' },
} as const;

/** Checks an installation step by step. */
export const verifyCommand: DefineCommand = (command, context) => {
  const { env, output, signal } = context;
  command
    .description(
      `Checks an installation from outside, step by step, and prints a remedy for each failure.

It needs the configuration of an agent, and a running agent. It is safe in production and can be repeated: it writes one document to MongoDB and removes it, and its end-to-end check claims a namespace of its own, <prefix>verify-<random>, and releases it. For this check TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN need the scope pulse:namespace:<prefix>verify-*.

It ends with one of: works (exit code 0, even with warnings), works with limits (5: it serves, and what the failed steps are about is missing), does not work (1).`,
    )
    .option('--no-end-to-end', 'skip the end-to-end check: claim nothing')
    .option('--overgrown', 'in the end-to-end check, fill a queue until the agent deletes it')
    .addHelpText(
      'after',
      examples([
        ['after installing or upgrading', 'pulse-agent verify'],
        [
          'for a script: the remedies of failed steps',
          'pulse-agent verify --json | jq -r \'.steps[] | select(.outcome == "failed") | .remedy\'',
        ],
      ]),
    )
    .action(async ({ endToEnd, overgrown }) => {
      const config = loadConfig(env);
      const links = serviceLinks(env);
      if (links.length > 0) output.note(`Ignored service links of Kubernetes: ${links.join(', ')}.`);
      const verification = createVerification(config, {
        endToEnd,
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
            if (!output.json) output.print(report, (style) => reportLine(report, style));
          },
        });
        const counts = countsOf(steps);
        const { verdict, missing } = verdictOn(steps);
        const { exitCode, format, text } = VERDICTS[verdict];
        context.exitCode = exitCode;
        output.print({ well: verdict !== 'broken', verdict, missing, ...counts, steps }, (style) => {
          const what = missing.length === 0 ? '' : ` (${missing.join(', ')})`;
          return `\n${style[format](text)}${what}: ${counts.ok} ok, ${counts.warnings} warnings, ${counts.failed} failed, ${counts.skipped} skipped.`;
        });
      } finally {
        await verification.close();
      }
    });
};

function countsOf(steps: readonly StepReport[]) {
  const count = (wanted: StepReport['outcome']): number => steps.filter(({ outcome }) => outcome === wanted).length;
  return { ok: count('ok'), warnings: count('warning'), failed: count('failed'), skipped: count('skipped') };
}

function reportLine({ about, outcome, essential, said, remedy }: StepReport, style: Style): string {
  const lacks = outcome === 'failed' && !essential;
  const failed = lacks ? style.doubtful : style.bad;
  const format = { ok: style.good, warning: style.doubtful, failed, skipped: style.quiet }[outcome];
  const line = `${format((lacks ? LACK : LABELS[outcome]).padEnd(4))}  ${about}: ${printable(said)}`;
  return remedy === undefined ? line : `${line}\n      ${style.heading('→')} ${printable(remedy)}`;
}
