import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { WORKING_COPY } from '../dev/working-copy.ts';
import type { Site } from './site.ts';

/** How long an agent idles before its memory is read, in ms. */
const IDLE_MS = 10_000;

/** The arguments of node in `npm start`. */
const START_ARGUMENTS = startArguments();

/** The resident memory of a process, in MB. */
export interface Resident {
  readonly ownMb: number;
  /** Pages of LMDB's mapped file; the kernel reclaims them when it needs memory. */
  readonly storeMb: number;
}

/** An agent as in production: built, in its own process. */
export interface BuiltAgent {
  /** Its memory after it has idled for ten seconds. */
  resident(): Promise<Resident>;
  stop(): Promise<void>;
}

/**
 * Starts an agent on the site's broker and waits until it serves requests.
 *
 * @param storeName its LMDB store, in the folder of the site
 */
export async function startBuiltAgent(
  site: Site,
  storeName: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<BuiltAgent> {
  const agent = spawn(process.execPath, START_ARGUMENTS, {
    cwd: WORKING_COPY,
    env: {
      ...process.env,
      ...site.agentEnvironment(`lmdb:${join(site.folder, storeName)}`),
      // The line `agent_started` has this level.
      LOG_LEVEL: 'info',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(agent, 'exit');
  const lines = createInterface({ input: agent.stdout });
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (line.includes('agent_started')) resolve();
    });
    lines.on('close', () => reject(new Error('The built agent exited before it served requests.')));
  });
  return {
    async resident() {
      await sleep(IDLE_MS);
      return readResident(agent.pid ?? Number.NaN, storeName);
    },
    async stop() {
      agent.kill('SIGTERM');
      await exited;
    },
  };
}

function readResident(pid: number, storeFolder: string): Resident {
  let [own, store] = [0, 0];
  let isStore = false;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    // The first line of a mapping has its addresses and its file.
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isStore = line.includes(storeFolder);
    const bytes = Number(/^Rss:\s+(\d+) kB/.exec(line)?.[1] ?? 0) * 1024;
    if (isStore) store += bytes;
    else own += bytes;
  }
  return { ownMb: own / 1e6, storeMb: store / 1e6 };
}

function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(WORKING_COPY, 'package.json'), 'utf8')) as {
    readonly scripts: { readonly start: string };
  };
  return scripts.start.split(' ').slice(1);
}
