import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Lease } from '../client/lease.ts';
import { type CommandContext, UsageFault } from './command.ts';

/** What is passed on. SIGUSR1 is not: Node takes it for its debugger. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;

/** How long a program has to end once the lease is lost, in ms: nobody else sees to it that it does. */
const PATIENCE_MS = 10_000;

/**
 * Runs a program with `PULSE_CONNECTION_STRING` in its environment and resolves with its exit code; of a program that a
 * signal ended with 128 and the signal's number, as a shell does. The program is ended when the lease is lost, by force
 * after ten seconds.
 *
 * @throws UsageFault when it cannot be started; LeaseLost.
 */
export async function runWithLease(
  lease: Lease,
  [program = '', ...args]: readonly string[],
  { env, output }: CommandContext,
): Promise<number> {
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: { ...env, PULSE_CONNECTION_STRING: lease.connectionString },
  });
  const restore = passSignalsTo(child);
  // The program holds the credentials of now, whatever the lease gets later.
  const opensUntil = lease.reclaimAt.toISOString();
  child.once('spawn', () =>
    output.note(`pulse-agent: PULSE_CONNECTION_STRING opens connections until ${opensUntil} at least.`),
  );
  lease.on('failing', ({ error }) => output.note(`pulse-agent: ${error.message} It is tried again.`));
  let lost: Error | undefined;
  let hurry: NodeJS.Timeout | undefined;
  lease.once('lost', (error) => {
    lost = error;
    output.note(`pulse-agent: ${error.message} Ending the program.`);
    child.kill('SIGTERM');
    hurry = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  });
  try {
    const exitCode = await exitCodeOf(child, program);
    if (lost !== undefined) throw lost;
    return exitCode;
  } finally {
    clearTimeout(hurry);
    restore();
  }
}

/** In place of ending at a signal: the program decides. */
function passSignalsTo(child: ChildProcess): () => void {
  const kept = SIGNALS.map((signal) => {
    const before = process.listeners(signal);
    process.removeAllListeners(signal);
    process.on(signal, () => {
      // Ctrl-C in a terminal reaches the program by itself; a second one would hurry it.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
    return { signal, before };
  });
  return () => {
    for (const { signal, before } of kept) {
      process.removeAllListeners(signal);
      for (const listener of before) process.on(signal, listener);
    }
  };
}

async function exitCodeOf(child: ChildProcess, program: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'there is none of that name' : error.message;
      if (child.pid === undefined) reject(new UsageFault(`The program ${program} cannot be started: ${why}.`));
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
