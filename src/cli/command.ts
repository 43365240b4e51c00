/** One command of the command line. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` prints, with an example. */
  readonly help: string;
  /** Runs it and resolves with the exit code. */
  run(args: readonly string[]): Promise<number>;
}
