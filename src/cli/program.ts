import { Command, CommanderError } from 'commander';
import { VERSION } from '../version.ts';
import { type CommandContext, type CommandEntry, type DefineCommand, UsageFault } from './define-command.ts';
import { COMMANDS } from './commands.ts';
import { EXIT } from './exit-codes.ts';
import { type Explanation, explainError } from './explain-error.ts';
import { createOutput, isColourful, type TextStream } from './output.ts';

/** The environment of a command line. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** Aborted when the process is asked to stop. */
  readonly signal: AbortSignal;
}

const EXIT_CODES = `
Exit codes: 0 done; 1 failed, or a check failed; 2 wrong arguments or configuration; 3 refused; 4 unavailable, try again later; 5 an installation works
with limits.`;

/**
 * Runs `pulse-agent <args>` and resolves with its exit code. It never rejects: a failure is printed to standard error, as
 * sentences, or with `--json` as one line of JSON.
 */
export async function runProgram(
  args: readonly string[],
  terminal: Terminal,
  commands: Readonly<Record<string, CommandEntry>> = COMMANDS,
): Promise<number> {
  const { env, stdout, stderr, signal } = terminal;
  const json = args.slice(0, endOfOptions(args)).includes('--json');
  const context: CommandContext = {
    env,
    output: createOutput(stdout, stderr, env, json),
    commands,
    signal,
    exitCode: EXIT.ok,
  };
  const name = commandIn(args);
  let commanderError = '';
  const program = new Command('pulse-agent')
    .description('RabbitMQ credentials for Taskcluster namespaces, over AMQP.')
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print help and examples')
    .option('--json', 'print JSON, one document a line; failures as JSON on standard error')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: (text) => (commanderError = text),
      getOutHasColors: () => isColourful(stdout, env),
      getErrHasColors: () => isColourful(stderr, env),
    })
    .addHelpText('after', EXIT_CODES);
  try {
    for (const [each, entry] of Object.entries(commands)) {
      const { summary } = entry;
      const command = program
        .command(each)
        .summary(summary)
        .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`);
      if (each === name) (await entry.load())(typed(command), context);
    }
    await program.parseAsync(args, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      // Without a command, commander prints the help to standard error.
      if (error.code === 'commander.help') return EXIT.usage;
    }
    const fault =
      error instanceof CommanderError
        ? usageFault(commanderError, name !== undefined && name in commands ? name : undefined)
        : error;
    const explanation = explainError(signal.aborted ? signal.reason : fault);
    printFailure(explanation, stderr, json);
    return explanation.exitCode;
  }
}

/** The command with the types that infer its options, which exist only at compile time. */
function typed(command: Command): Parameters<DefineCommand>[0] {
  return command as unknown as Parameters<DefineCommand>[0];
}

function printFailure({ sentences, code, retryable, details }: Explanation, stderr: TextStream, json: boolean): void {
  if (json) {
    const error = { code, message: sentences.join('\n'), retryable, ...(details === undefined ? {} : { details }) };
    stderr.write(`${JSON.stringify({ error })}\n`);
    return;
  }
  for (const sentence of sentences) stderr.write(`pulse-agent: ${sentence}\n`);
}

/** The name of the command in the arguments; no option before it has a value. */
function commandIn(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? second : first;
}

function endOfOptions(args: readonly string[]): number {
  const end = args.indexOf('--');
  return end === -1 ? args.length : end;
}

/** "error: unknown option '--jsn'\n(Did you mean --json?)" as sentences. */
function usageFault(commanderError: string, name: string | undefined): UsageFault {
  const plain = commanderError.replace(/^error: /, '').trim();
  const sentences = plain
    .split('\n')
    .map((line) => line.replace(/^\((.*)\)$/, '$1').trim())
    .filter((line) => line !== '')
    .map((line) => `${line[0]?.toUpperCase()}${line.slice(1)}${/[.?]$/.test(line) ? '' : '.'}`);
  const command = name === undefined ? 'pulse-agent' : `pulse-agent ${name}`;
  return new UsageFault([...sentences, `See ${command} --help.`].join(' '));
}
