import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A process that carries the mark of a test run in its environment. */
export interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * The processes that have `mark` (`NAME=value`) in their environment. Every descendant of a marked process inherits it,
 * detached ones included, unless its parent removes it.
 */
export function markedProcesses(mark: string): MarkedProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const environment = readFileSync(join('/proc', name, 'environ'), 'utf8').split('\0');
        if (!environment.includes(mark)) return [];
        const command = readFileSync(join('/proc', name, 'cmdline'), 'utf8')
          .replaceAll('\0', ' ')
          .trim();
        return [{ pid: Number(name), command: command.slice(0, 200) }];
      } catch {
        // It has exited, or belongs to another user.
        return [];
      }
    });
}

/** Waits up to `waitMs` for the marked processes to exit; kills those that do not, and returns them. */
export async function killMarked(mark: string, waitMs: number): Promise<MarkedProcess[]> {
  const until = performance.now() + waitMs;
  while (markedProcesses(mark).length > 0 && performance.now() < until) await delay(50);
  const left = markedProcesses(mark);
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It exited just now.
    }
  }
  return left;
}

/** The entries of `folder`; none when it does not exist. */
export function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
