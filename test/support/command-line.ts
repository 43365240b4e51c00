import { spawn } from 'node:child_process';
import { builtProgram } from './built-agent.ts';
import { addCleanup } from './cleanup.ts';
import { collectOutput, type ExitStatus } from './process-output.ts';

/** A run of `pulse-agent` in its own process. */
export interface CommandRun {
  /** Resolves when standard output has this text; rejects when the process exits first, or after two minutes. */
  printed(text: string): Promise<void>;
  /** The same for standard output and standard error. */
  printedAnywhere(text: string): Promise<void>;
  /** Everything printed so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended the process. */
  readonly exited: Promise<ExitStatus>;
}

/** How a run ended, and what it printed. */
export interface CommandResult {
  readonly exitCode: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

const PATIENCE_MS = 120_000;

/**
 * Starts `pulse-agent <args>`, built from the current sources, with this environment, PATH and TMPDIR only. It is killed
 * after the test at the latest.
 *
 * @param input what it reads from standard input
 */
export async function runCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  input?: string,
): Promise<CommandRun> {
  const { PATH, TMPDIR } = process.env;
  const child = spawn(process.execPath, [await builtProgram(), ...args], {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { PATH, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...environment },
  });
  // A program that refuses its arguments does not read it.
  child.stdin?.on('error', () => undefined).end(input);
  const { stdout, stderr, hasExited, exited, waitFor } = collectOutput(child);
  addCleanup(async () => {
    if (!hasExited()) child.kill('SIGKILL');
    await exited;
  });
  return {
    stdout,
    stderr,
    signal: (signal) => void child.kill(signal),
    exited,
    printed: (text) => waitFor(text, { stream: 'stdout', patienceMs: PATIENCE_MS }),
    printedAnywhere: (text) => waitFor(text, { stream: 'output', patienceMs: PATIENCE_MS }),
  };
}

/** Runs `pulse-agent <args>` as {@link runCommandLine} does, to its end. */
export async function runToEnd(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<CommandResult> {
  const { exited, stdout, stderr } = await runCommandLine(args, environment);
  return { exitCode: await exited, stdout: stdout(), stderr: stderr() };
}

/** The documents of `--json`, one a line. */
export function jsonLines<Value = Record<string, unknown>>(text: string): Value[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Value);
}
