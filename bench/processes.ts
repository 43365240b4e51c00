import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A part of the bench in its own process, so that it does not share a thread with the load. */
export interface BenchProcess {
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** Starts `file` of this folder and waits until it is ready. */
export async function startProcess(file: string, env: Readonly<Record<string, string>>): Promise<BenchProcess> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    env: { ...process.env, ...env },
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${file} exited before it was ready.`);
  });
  await Promise.race([once(child, 'message'), failed]);
  failed.catch(() => undefined);
  return {
    process: child,
    async stop() {
      if (child.exitCode !== null) return;
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

/** Called in such a process: reports that it is ready, and resolves when the bench stops it. */
export async function untilStopped(): Promise<void> {
  const disconnected = once(process, 'disconnect');
  process.send?.('ready');
  await disconnected;
}
