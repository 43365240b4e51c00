import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startOptions } from '../bench/built-agent.ts';
import { spawnTied, type TiedProcess } from '../dev/processes.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';

const PROGRAM = join(WORKING_COPY, 'dist/cli/main.js');
const CLOCK = fileURLToPath(new URL('clock-preload.mjs', import.meta.url));

/** Longer than the time that an agent has to finish its requests, in ms. */
const STOP_GRACE_MS = 30_000;

const POLL_EVERY_MS = 100;

/** The pause before an agent that ended during its start is started again, as a supervisor does, in ms. */
const RESTART_PAUSE_MS = 5_000;

/** How much of a log the start of an agent can fill, in bytes. */
const START_BYTES = 2 ** 21;

/** An agent that faults kill, stop and continue. */
export interface SoakAgent {
  readonly name: string;
  readonly logFile: string;
  readonly httpPort: number;
  /** Starts it and does not wait for it; does nothing when it runs. `clockMs` is how far its clock is ahead. */
  start(clockMs: number): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
  pause(): void;
  resume(): void;
  /** What `/readyz` answers; undefined: nothing. */
  readiness(): Promise<number | undefined>;
}

/** What an agent reports to the run. */
export interface AgentListener {
  /** It ended by itself although it had started. */
  onCrash(agent: SoakAgent, how: string): void;
  /** It ended during its start, and is started again. */
  onFailedStart(agent: SoakAgent): void;
}

/** Makes an agent with this environment. Its log goes into a file in `folder`. */
export function createSoakAgent(
  name: string,
  folder: string,
  httpPort: number,
  environment: Readonly<Record<string, string>>,
  listener: AgentListener,
): SoakAgent {
  const logFile = join(folder, `${name}.log`);
  let child: TiedProcess | undefined;
  let clock = 0;

  const start = async (): Promise<void> => {
    const begin = existsSync(logFile) ? statSync(logFile).size : 0;
    const output = openSync(logFile, 'a', 0o600);
    const started = await spawnTied(process.execPath, [...startOptions(), '--import', CLOCK, PROGRAM, 'serve'], {
      cwd: WORKING_COPY,
      env: { ...inherited(), ...environment, HTTP_PORT: String(httpPort), SOAK_CLOCK_MS: String(clock) },
      outputFd: output,
    }).finally(() => closeSync(output));
    child = started;
    void started.exited.then(async ({ code, signal }) => {
      if (child !== started) return;
      child = undefined;
      if (hasStarted(logFile, begin)) return listener.onCrash(agent, `code ${code}, signal ${signal}`);
      listener.onFailedStart(agent);
      await sleep(RESTART_PAUSE_MS);
      if (child === undefined && wanted) await start();
    });
  };
  let wanted = false;
  /** Takes the process: from then on its end is no crash. */
  const take = (): TiedProcess | undefined => {
    const taken = child;
    child = undefined;
    wanted = false;
    return taken;
  };
  const send = (signal: 'SIGSTOP' | 'SIGCONT'): void => {
    if (child !== undefined) process.kill(child.pid, signal);
  };
  const agent: SoakAgent = {
    name,
    logFile,
    httpPort,
    async start(clockMs) {
      if (child !== undefined) return;
      clock = Math.round(clockMs);
      wanted = true;
      await start();
    },
    kill: async () => await take()?.kill(),
    stop: async () => await take()?.stop(STOP_GRACE_MS),
    pause: () => send('SIGSTOP'),
    resume: () => send('SIGCONT'),
    async readiness() {
      const response = await fetch(`http://127.0.0.1:${httpPort}/readyz`, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(5_000),
      }).catch(() => undefined);
      await response?.body?.cancel();
      return response?.status;
    },
  };
  return agent;
}

/** Waits until agents serve requests. */
export async function untilReady(agents: readonly SoakAgent[], withinMs: number): Promise<void> {
  const lateMs = performance.now() + withinMs;
  for (const agent of agents) {
    while ((await agent.readiness()) !== 200) {
      if (performance.now() > lateMs) throw new Error(`${agent.name} did not become ready; see ${agent.logFile}.`);
      await sleep(POLL_EVERY_MS);
    }
  }
}

/** Whether a process that began to log here came to serve requests: it says so in the first part of its log. */
function hasStarted(logFile: string, begin: number): boolean {
  const file = openSync(logFile, 'r');
  try {
    const text = Buffer.alloc(START_BYTES);
    return text.subarray(0, readSync(file, text, 0, START_BYTES, begin)).includes('"agent_started"');
  } finally {
    closeSync(file);
  }
}

/** The environment without the settings of an agent. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:PULSE_AGENT_|RABBITMQ_|STORE_URL|NODE_ENV)/.test(name)),
  );
}
