import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A child process that does not outlive this process. */
export interface TiedProcess {
  readonly pid: number;
  /** Resolves after the exit with its cause. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  running(): boolean;
  /** Sends a signal to the process and its descendants. */
  signal(name: NodeJS.Signals): void;
  /** Sends SIGTERM, after `graceMs` SIGKILL, and waits until the process and its descendants have exited. */
  stop(graceMs: number): Promise<void>;
  /** Sends SIGKILL to the process and its descendants, and waits until they have exited. */
  kill(): Promise<void>;
}

/** The first executable file named `name` in the folders of PATH. */
export function findExecutable(name: string, path = process.env['PATH'] ?? ''): string | undefined {
  // An unprivileged user's PATH often lacks the sbin folders, which have some of the tools.
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/sbin'].filter(Boolean)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/**
 * Arguments of setpriv, followed by the parent's pid and the command. The kernel reports only a death of the parent after
 * setpriv's call, so the shell checks afterwards whether the parent had died before.
 */
const DIE_WITH_PARENT = [
  '--pdeathsig',
  'KILL',
  'sh',
  '-c',
  '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"',
  'die-with-parent',
];

const tied = new Set<number>();
let exitHandlerSet = false;

/**
 * Starts `command` in its own process group, so that Ctrl-C reaches only this process, which then stops it gracefully. It
 * dies with this process: an exit handler kills it, and, where util-linux has `setpriv`, the kernel does so even when this
 * process is killed with SIGKILL.
 *
 * @param options.outputFd file descriptor for its output
 * @throws Error when it cannot be started
 */
export async function spawnTied(
  command: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; cwd?: string; outputFd: number },
): Promise<TiedProcess> {
  const program = command.includes('/') ? command : findExecutable(command);
  if (program === undefined || !existsSync(program)) throw new Error(`There is no program ${command}.`);
  const setpriv = findExecutable('setpriv');
  const [file, list] =
    setpriv === undefined ? [program, args] : [setpriv, [...DIE_WITH_PARENT, String(process.pid), program, ...args]];
  const child = spawn(file, list, {
    env: options.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['ignore', options.outputFd, options.outputFd],
    detached: true,
  });
  const exited = new Promise<Awaited<TiedProcess['exited']>>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  return new TiedChild(child, exited);
}

class TiedChild implements TiedProcess {
  readonly pid: number;
  readonly exited: TiedProcess['exited'];
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, exited: TiedProcess['exited']) {
    if (child.pid === undefined) throw new Error('The process has no pid: it did not start.');
    this.#child = child;
    this.pid = child.pid;
    this.exited = exited;
    tied.add(this.pid);
    if (!exitHandlerSet) {
      exitHandlerSet = true;
      process.on('exit', () => {
        for (const pid of tied) signalGroup(pid, 'SIGKILL');
      });
    }
  }

  running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    if (this.running()) signalGroup(this.pid, name);
  }

  async stop(graceMs: number): Promise<void> {
    if (this.running()) {
      this.#child.kill('SIGTERM');
      const timer = new AbortController();
      await Promise.race([this.exited, delay(graceMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
    }
    await this.kill();
  }

  async kill(): Promise<void> {
    signalGroup(this.pid, 'SIGKILL');
    await this.exited;
    for (let tries = 0; groupExists(this.pid) && tries < 200; tries++) await delay(10);
    tied.delete(this.pid);
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is empty.
  }
}

function groupExists(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Finds `count` free TCP ports of 127.0.0.1. They are below 32768, where the ephemeral range begins: an outgoing connection
 * could take such a port before its server listens.
 */
export async function freePorts(count: number, random: () => number = Math.random): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 10_000 + Math.floor(random() * 22_000);
    if (!ports.has(port) && (await portIsFree(port))) ports.add(port);
  }
  return [...ports];
}

/** Whether `port` of 127.0.0.1 is free. */
export async function portIsFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
