import { spawn } from 'node:child_process';

/** How a command is run. */
export interface ChangeCommandOptions {
  readonly env: NodeJS.ProcessEnv;
  /** How long it may take, in ms. */
  readonly timeoutMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** How long a command may take to exit after SIGTERM, in ms. */
const GRACE_MS = 5000;

/** A command that a change starts has failed. The message says how. */
export class ChangeCommandFailed extends Error {
  readonly code = 'CommandFailed';
}

/**
 * Runs a command with the shell until it exits, with its outputs on standard error. One that takes too long gets SIGTERM,
 * and SIGKILL five seconds later, with all that it has started.
 *
 * @throws ChangeCommandFailed if it does not succeed; the reason of the signal
 */
export async function runChangeCommand(
  command: string,
  { env, timeoutMs, signal }: ChangeCommandOptions,
): Promise<void> {
  signal.throwIfAborted();
  // In a group of its own, which gets signals as a whole. Standard output is for the results of pulse-agent.
  const child = spawn(command, { shell: true, detached: true, stdio: ['ignore', 2, 2], env });
  const signalGroup = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // All of it has ended.
    }
  };
  let killTimer: NodeJS.Timeout | undefined;
  const end = (): void => {
    signalGroup('SIGTERM');
    killTimer = setTimeout(kill, GRACE_MS);
  };
  const kill = (): void => signalGroup('SIGKILL');
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, timeoutMs);
  signal.addEventListener('abort', end, { once: true });
  process.once('exit', kill);
  try {
    const fault = await new Promise<string | undefined>((resolve) => {
      child.once('error', ({ message }) => resolve(`cannot be started: ${message}`));
      child.once('exit', (code, name) => {
        if (code === 0) resolve(undefined);
        else resolve(code === null ? `was ended by ${name}` : `failed with exit code ${code}`);
      });
    });
    // The shell has ended; what it started may have ignored SIGTERM.
    if (isLate || signal.aborted) kill();
    signal.throwIfAborted();
    if (isLate) throw new ChangeCommandFailed(`The command took longer than ${timeoutMs / 1000} s and was ended.`);
    if (fault !== undefined) throw new ChangeCommandFailed(`The command ${fault}.`);
  } finally {
    clearTimeout(timer);
    clearTimeout(killTimer);
    signal.removeEventListener('abort', end);
    process.removeListener('exit', kill);
  }
}
