import type { Command } from '@commander-js/extra-typings';
import { BrokerRefused } from '../client/client-errors.ts';
import type { Output } from './output.ts';

/** A command in the list that the help prints. */
export interface CommandEntry {
  /** One line, for the list. */
  readonly summary: string;
  /** Imports the file of the command and its dependencies: only for the command that runs. */
  load(): Promise<DefineCommand>;
}

/** What a command works with besides its arguments and options. */
export interface CommandContext {
  readonly env: NodeJS.ProcessEnv;
  readonly output: Output;
  /** All commands, by name. */
  readonly commands: Readonly<Record<string, CommandEntry>>;
  /** Aborted at SIGINT and SIGTERM, with an {@link Interrupted} as the reason. */
  readonly signal: AbortSignal;
  /** The exit code of the process unless the command throws: one of `EXIT`, or that of a program that the command ran. */
  exitCode: number;
}

/**
 * Gives a command its arguments, options, examples and action. An error that the action throws is printed as a sentence:
 * see `explainError`.
 *
 * @example
 * export const ping: DefineCommand = (command, { output, env }) => {
 *   command.option('--times <count>', 'how often').action(async ({ times }) => { … });
 * };
 */
export type DefineCommand = (command: Command, context: CommandContext) => void;

/** A fault in the arguments that their types do not show. The message says what to give instead. */
export class UsageFault extends Error {}

/** RabbitMQ refuses what a command needs besides requests. The message says what to do. */
export class CommandRefused extends BrokerRefused {}

/** The process received a signal that stops it. */
export class Interrupted extends Error {
  readonly signal: 'SIGINT' | 'SIGTERM';

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`Interrupted by ${signal}.`);
    this.signal = signal;
  }
}

/** The examples in a command's help: a comment and a command line each. */
export function examples(lines: readonly (readonly [comment: string, commandLine: string])[]): string {
  return `\nExamples:\n${lines.map(([comment, commandLine]) => `  # ${comment}\n  ${commandLine}`).join('\n')}`;
}
