import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnTied } from '../dev/processes.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { readCpuMs, readResident, type Resident } from './process-figures.ts';
import type { Site } from './site.ts';
import { nodeOptionsOf } from './start-script.ts';

/** How long an agent idles before its memory at rest is read, in ms. */
const IDLE_MS = 10_000;

const POLL_EVERY_MS = 50;

/** Longer than the time that an agent has to finish its requests, in ms. */
const STOP_GRACE_MS = 30_000;

/** How the agent differs from that of `npm start`. */
export interface BuiltAgentOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Instead of those in package.json. */
  readonly nodeOptions?: readonly string[];
}

/** An agent as in production: built, in its own process. */
export interface BuiltAgent {
  readonly pid: number;
  /** The CPU time that all its threads have used, in ms. */
  readonly cpuMs: () => number;
  /** Its memory now. */
  readonly memory: () => Resident;
  /** Its memory after it has idled, for ten seconds unless `idleMs` says otherwise. */
  resident(idleMs?: number): Promise<Resident>;
  stop(): Promise<void>;
}

/**
 * Starts an agent on the site's broker and waits until it serves requests. Its log goes into a file.
 *
 * @param storeName its LMDB store, in the folder of the site
 */
export async function startBuiltAgent(
  site: Site,
  storeName: string,
  { environment = {}, nodeOptions = startOptions() }: BuiltAgentOptions = {},
): Promise<BuiltAgent> {
  const logFile = join(site.folder, `${storeName}.log`);
  const output = openSync(logFile, 'w');
  const agent = await spawnTied(process.execPath, [...nodeOptions, site.program, 'serve'], {
    cwd: WORKING_COPY,
    env: {
      ...ownEnvironment(),
      ...site.agentEnvironment(site.storeUrl(storeName)),
      // The default, which has the line `agent_started` and one for each request.
      LOG_LEVEL: 'info',
      ...environment,
    },
    outputFd: output,
  });
  closeSync(output);
  while (!readFileSync(logFile, 'utf8').includes('agent_started')) {
    if (!agent.running()) {
      throw new Error(`The built agent exited before it served requests: ${readFileSync(logFile, 'utf8')}`);
    }
    await sleep(POLL_EVERY_MS);
  }
  const { pid } = agent;
  const memory = (): Resident => readResident(pid, storeName);
  return {
    pid,
    cpuMs: () => readCpuMs(pid),
    memory,
    async resident(idleMs = IDLE_MS) {
      await sleep(idleMs);
      return memory();
    },
    stop: () => agent.stop(STOP_GRACE_MS),
  };
}

/** The environment without the settings of an agent. */
function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PULSE_AGENT_')));
}

/** The options of node in `npm start`. */
export function startOptions(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(WORKING_COPY, 'package.json'), 'utf8')) as {
    readonly scripts: { readonly start: string };
  };
  return nodeOptionsOf(scripts.start);
}
