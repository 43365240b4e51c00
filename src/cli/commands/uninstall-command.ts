import { openUninstall } from '../../agent/open-uninstall.ts';
import { loadConfig } from '../../config/config.ts';
import type { RemovalStep, UninstallPlan } from '../../uninstall/plan-uninstall.ts';
import type { StepOutcome } from '../../uninstall/remove-installation.ts';
import { type DefineCommand, examples } from '../define-command.ts';
import { EXIT } from '../exit-codes.ts';
import { debugError, explainError } from '../explain-error.ts';
import type { Style } from '../output.ts';
import { printable } from '../table.ts';

/** How many names of a step are printed; `--json` has all. */
const MAX_NAMES = 10;

/** Shows and removes what agents made on the broker. */
export const uninstallCommand: DefineCommand = (command, context) => {
  const { env, output, signal } = context;
  command
    .option('--yes', 'remove it; without it the command only shows what it would remove')
    .option('--namespaces', 'also accounts, queues and exchanges of namespaces, with their messages')
    .option('--request-vhost', 'the vhost of the requests also if no agent created it, or something else is in it')
    .description(
      `Shows what the agents of a store made on RabbitMQ, removes it with --yes, and says what is left. It needs the configuration of an agent, and no agent may run.

It leaves whatever no agent of this store made, the store itself, and the agent's own account. It can be repeated: a failure does not stop the rest, and the next run removes what this one left.`,
    )
    .addHelpText(
      'after',
      examples([
        ['what would be removed', 'pulse-agent uninstall --namespaces'],
        ['remove the agents, and let namespaces stay usable', 'pulse-agent uninstall --yes'],
        ['remove everything', 'pulse-agent uninstall --namespaces --yes'],
      ]),
    )
    .action(async ({ yes = false, namespaces = false, requestVhost = false }) => {
      const uninstall = await openUninstall(
        loadConfig(env),
        { namespaces, requestVhost },
        () => output.note('Watching for some seconds whether an agent uses the store.'),
        signal,
      );
      try {
        const plan = await uninstall.plan();
        if (!yes) {
          output.print({ removed: false, ...plan }, (style) => planText(plan, style));
          return;
        }
        const { outcomes, rest, fault } = await uninstall.remove(plan, (outcome) => {
          for (const { error } of outcome.faults) debugError(error);
          if (!output.json) output.print(outcome, (style) => outcomeLine(outcome, style));
        });
        const { steps: remaining, left } = rest;
        const isDone = remaining.length === 0 && fault === undefined;
        if (!isDone) context.exitCode = EXIT.failed;
        output.print({ removed: isDone, steps: outcomes.map(outcomeJson), remaining, left }, (style) =>
          [
            isDone
              ? style.good(outcomes.length === 0 ? 'There was nothing to remove.' : 'All of it is removed.')
              : style.bad('Not all of it is removed: run the command again.'),
            ...remaining.map((step) => `  still there: ${stepText(step)}`),
            ...leftLines(rest),
          ].join('\n'),
        );
        if (fault !== undefined) throw fault;
      } finally {
        await uninstall.close();
      }
    });
};

function planText(plan: UninstallPlan, style: Style): string {
  if (plan.steps.length === 0) return ['There is nothing to remove.', ...leftLines(plan)].join('\n');
  return [
    style.heading('This would be removed:'),
    ...plan.steps.map((step) => `  ${stepText(step)}`),
    ...leftLines(plan),
    'Nothing was removed: add --yes to remove it.',
  ].join('\n');
}

function stepText({ kind, vhost, names, about }: RemovalStep): string {
  const more = names.length - MAX_NAMES;
  const shown = `${names.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return printable(`${kind} ${shown}${vhost === undefined ? '' : ` in ${vhost}`}: ${about}`);
}

function leftLines({ left }: Pick<UninstallPlan, 'left'>): string[] {
  return ['This is left:', ...left.map(({ what, why }) => printable(`  ${what}: ${why}`))];
}

function outcomeLine({ step, removed, faults, isKept }: StepOutcome, style: Style): string {
  if (isKept) return `${style.doubtful('kept')}     ${stepText(step)}, because something else could not be removed`;
  if (faults.length === 0) return `${style.good('removed')}  ${stepText(step)}`;
  const lines = faults.map(({ name, error }) =>
    printable(`         ${name}: ${explainError(error).sentences.join(' ')}`),
  );
  const count = `${removed} of ${step.names.length} removed`;
  return [`${style.bad('FAILED')}   ${stepText(step)} (${count})`, ...lines].join('\n');
}

function outcomeJson({ step, removed, faults, isKept }: StepOutcome) {
  const failed = faults.map(({ name, error }) => {
    const { code, sentences } = explainError(error);
    return { name, code, message: sentences.join(' ') };
  });
  return {
    ...step,
    outcome: isKept ? 'kept' : failed.length === 0 ? 'removed' : 'failed',
    removedCount: removed,
    failed,
  };
}
