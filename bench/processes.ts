import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A part of the bench that runs in a process of its own, so that it does not share the load's thread. */
export interface Part {
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** Starts `file` of this folder and waits until it says `ready`. */
export async function startPart(file: string, env: Readonly<Record<string, string>>): Promise<Part> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    env: { ...process.env, ...env },
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${file} ended before it was ready.`);
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

/** Tells the parent that this part is ready, and resolves when the parent wants it to end. */
export async function untilStopped(): Promise<void> {
  const disconnected = once(process, 'disconnect');
  process.send?.('ready');
  await disconnected;
}
