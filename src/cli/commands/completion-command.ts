import { Command } from 'commander';
import { type CompletedCommand, completionScript, SHELLS } from '../completion-scripts.ts';
import { type CommandContext, type DefineCommand, examples } from '../define-command.ts';

/** Prints a script that completes commands and options in a shell. */
export const completionCommand: DefineCommand = (command, context) => {
  command
    .addArgument(command.createArgument('<shell>', 'the shell').choices(SHELLS))
    .description(
      'Prints a script that completes commands, subcommands and options of pulse-agent in bash, zsh or fish. Print it again after an upgrade.',
    )
    .addHelpText(
      'after',
      examples([
        ['in this bash', 'source <(pulse-agent completion bash)'],
        ['in every fish', 'pulse-agent completion fish > ~/.config/fish/completions/pulse-agent.fish'],
      ]),
    )
    .action(async (shell) => {
      const commands = await completedCommands(context);
      const script = completionScript(shell, commands);
      context.output.print({ shell, script }, () => script);
    });
};

/** The program and all of its commands, each with what can follow it. */
async function completedCommands(context: CommandContext): Promise<CompletedCommand[]> {
  const program = new Command('pulse-agent').option('--json', 'print JSON');
  for (const [name, entry] of Object.entries(context.commands)) {
    const command = program.command(name).summary(entry.summary);
    (await entry.load())(command as unknown as Parameters<DefineCommand>[0], context);
  }
  return [...below(program, '', sharedOptions(program))];
}

type Options = CompletedCommand['options'];

/** What every command takes. */
function sharedOptions(program: Command): Options {
  const help = { word: '--help', summary: 'print help and examples', takesValue: false };
  return [...optionsOf(program), help];
}

function* below(command: Command, path: string, shared: Options): Generator<CompletedCommand> {
  const own =
    path === '' ? [{ word: '--version', summary: 'print the version', takesValue: false }] : optionsOf(command);
  yield {
    path,
    subcommands: command.commands.map((sub) => ({ word: sub.name(), summary: sub.summary() })),
    choices: command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
    options: [...own, ...shared],
  };
  for (const sub of command.commands) yield* below(sub, path === '' ? sub.name() : `${path} ${sub.name()}`, shared);
}

function optionsOf(command: Command): Options {
  return command.options.map(({ long, description, required, optional }) => ({
    word: long ?? '',
    summary: description,
    takesValue: required || optional,
  }));
}
