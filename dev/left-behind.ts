import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Records the pid of a process in `folder`, so that {@link killLeftBehind} finds it. Remove `<name>.pid` after its exit. */
export function recordPid(folder: string, name: string, pid: number): void {
  writeFileSync(join(folder, `${name}.pid`), String(pid));
}

/** The process that {@link recordPid} noted. */
export function recordedPid(folder: string, name: string): number {
  return Number(readFileSync(join(folder, `${name}.pid`), 'utf8'));
}

/**
 * Kills the recorded processes that an earlier process, killed before it could clean up, left running.
 *
 * @param mark a variable of their environment: the pid may belong to another process by now
 */
export async function killLeftBehind(folder: string, mark: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.pid'))) {
    const pid = Number(readFileSync(join(folder, name), 'utf8'));
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)) continue;
      process.kill(pid, 'SIGKILL');
      while (existsSync(`/proc/${pid}`)) await delay(20);
    } catch {
      // It has exited.
    } finally {
      rmSync(join(folder, name), { force: true });
    }
  }
}
