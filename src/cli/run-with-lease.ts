import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Lease } from '../client/lease.ts';
import { type CommandContext, UsageFault } from './define-command.ts';
import type { PublishedLease } from './publish-lease.ts';

/** The signals that are forwarded. SIGUSR1 is not: it starts Node's debugger. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;

/** How long a program may take to exit after SIGTERM once the lease is lost, in ms. */
const KILL_AFTER_MS = 10_000;

/** How a program starts. */
export interface ProgramStart {
  readonly variables: Readonly<Record<string, string>>;
  /** What standard error says of them. */
  readonly note: string;
  readonly onStarted?: (child: ChildProcess) => void;
}

/**
 * Runs a program with `PULSE_CONNECTION_STRING` in its environment, which has the credentials of its start, whatever the
 * lease gets later.
 *
 * @param published its file is there when the program starts
 * @throws as {@link runWhileHeld}
 */
export async function runWithLease(
  lease: Lease,
  command: readonly string[],
  context: CommandContext,
  published?: PublishedLease,
): Promise<number> {
  await published?.start();
  const variables = {
    PULSE_CONNECTION_STRING: lease.connectionString,
    PULSE_CONNECTION_STRINGS: lease.connectionStrings.join(),
    ...published?.variables,
  };
  const opensUntil = lease.reclaimAt.toISOString();
  const note = `PULSE_CONNECTION_STRING opens connections at least until ${opensUntil}.`;
  return await runWhileHeld([lease], command, context, {
    variables,
    note,
    onStarted: (child) => published?.notifies(child),
  });
}

/**
 * Runs a program with these variables in its environment and resolves with its exit code, or with 128 plus the number of
 * the signal that killed it, as a shell does. When a lease is lost, the program gets SIGTERM, and SIGKILL ten seconds later.
 *
 * @throws UsageFault when the program cannot be started; LeaseLost
 */
export async function runWhileHeld(
  leases: readonly Lease[],
  [program = '', ...args]: readonly string[],
  { env, output, signal }: CommandContext,
  { variables, note, onStarted }: ProgramStart,
): Promise<number> {
  signal.throwIfAborted();
  const child = spawn(program, args, { stdio: 'inherit', env: { ...env, ...variables } });
  onStarted?.(child);
  const restore = forwardSignals(child);
  child.once('spawn', () => output.note(`pulse-agent: ${note}`));
  let lost: Error | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  for (const lease of leases) {
    lease.on('failing', ({ error }) => output.note(`pulse-agent: ${error.message} Retrying.`));
    lease.once('lost', (error) => {
      output.note(`pulse-agent: ${error.message} Stopping the program.`);
      if (lost !== undefined) return;
      lost = error;
      child.kill('SIGTERM');
      killTimer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    });
  }
  try {
    const exitCode = await exitCodeOf(child, program);
    if (lost !== undefined) throw lost;
    return exitCode;
  } finally {
    clearTimeout(killTimer);
    restore();
  }
}

/** Forwards signals to the program instead of handling them. Returns a function that restores the handlers. */
function forwardSignals(child: ChildProcess): () => void {
  const replaced = SIGNALS.map((signal) => {
    const before = process.listeners(signal);
    process.removeAllListeners(signal);
    process.on(signal, () => {
      // The terminal sends Ctrl-C to the program too; forwarding it would deliver it twice.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
    return { signal, before };
  });
  return () => {
    for (const { signal, before } of replaced) {
      process.removeAllListeners(signal);
      for (const listener of before) process.on(signal, listener);
    }
  };
}

async function exitCodeOf(child: ChildProcess, program: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'command not found' : error.message;
      if (child.pid === undefined) reject(new UsageFault(`The program ${program} cannot be started: ${why}.`));
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
