import type { Command } from '@commander-js/extra-typings';
import type { Output } from './output.ts';

/** What a command works with besides its arguments. */
export interface CommandContext {
  readonly env: NodeJS.ProcessEnv;
  readonly output: Output;
  /** Aborted at SIGINT and SIGTERM; the reason is an {@link Interrupted}. A command that heeds it ends soon. */
  readonly signal: AbortSignal;
  /** What the process exits with unless the command throws: one of `EXIT`, or that of a program which it ran. */
  exitCode: number;
}

/**
 * Gives a command its arguments, options, examples and action. What the action throws is told in a sentence: see
 * `explainError`.
 *
 * @example
 * export const ping: DefineCommand = (command, { output, env }) => {
 *   command.option('--times <count>', 'how often').action(async ({ times }) => { … });
 * };
 */
export type DefineCommand = (command: Command, context: CommandContext) => void;

/** A fault in how a command was called that its options alone do not show. The message says what to give instead. */
export class UsageFault extends Error {}

/** Somebody or something asked the process to end. */
export class Interrupted extends Error {
  readonly signal: 'SIGINT' | 'SIGTERM';

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`Ended by ${signal}.`);
    this.signal = signal;
  }
}

/** Examples below a command's help: what is typed, and what for. */
export function examples(lines: readonly (readonly [comment: string, typed: string])[]): string {
  return `\nExamples:\n${lines.map(([comment, typed]) => `  # ${comment}\n  ${typed}`).join('\n')}`;
}
