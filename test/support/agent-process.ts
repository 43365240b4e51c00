import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { builtCrashingAgent } from './built-agent.ts';
import { addCleanup } from './cleanup.ts';
import type { Order, Report } from './crashing-agent.ts';
import type { Moment } from './step-observer.ts';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;
type ReportOf<Is extends Report['is']> = Report & { readonly is: Is };

/** How long an agent may take for one step, in ms: the machine may be busy. */
const PATIENCE_MS = 60_000;

/** How much of the log a failure shows, in characters. */
const LOG_TAIL = 4000;

/** An agent in its own process (`crashing-agent.ts`). */
export interface AgentProcess {
  /**
   * Makes the process send itself this signal at this step.
   *
   * @param about counts only calls with this text in their arguments, such as a namespace, and replies and
   *   acknowledgements; without it the agent should have no other work
   */
  arm(step: string, moment: Moment, signal: 'SIGKILL' | 'SIGSTOP', about?: string): Promise<void>;
  /** Waits until the agent has sent itself the signal, and is dead or stopped. */
  signalled(signal: 'SIGKILL' | 'SIGSTOP'): Promise<void>;
  /** Continues after a SIGSTOP before a call; resolves when that call has returned or failed. */
  resume(): Promise<void>;
  /**
   * Calls `check` until it finds something, again after each write of the agent to the store or the broker.
   *
   * @param patienceMs how long to wait; until a minute without a write when absent
   */
  until<Found>(check: () => Promise<Found | undefined>, patienceMs?: number): Promise<Found>;
  /** The steps that the agent takes while `work` runs, in order, up to and including `last`. */
  stepsOf(work: () => Promise<unknown>, last: string, about?: string): Promise<string[]>;
  /** Whether the start succeeded; false: the agent died before. */
  survivedStart(): Promise<boolean>;
  /** How many requests it has served, by `<method> <outcome>`. */
  requestCounts(): Promise<Readonly<Record<string, number>>>;
  /** Stops it as SIGTERM does, and waits for its exit. */
  stop(): Promise<void>;
  /** Kills it, and waits for its exit. */
  kill(): Promise<void>;
  /** The end of its log. */
  log(): string;
}

/** Starts an agent with this environment. It is killed after the test at the latest. */
export async function startAgentProcess(environment: Readonly<Record<string, string>>): Promise<AgentProcess> {
  const agent = await spawnAgent(environment, {});
  await agent.next('ready');
  return agent;
}

/**
 * Starts an agent that kills itself at this step of its start, or later where its start does not take that step.
 *
 * @param step `any` is the first write to the broker
 */
export async function startCrashingAgent(
  environment: Readonly<Record<string, string>>,
  step: string,
  moment: Moment,
): Promise<AgentProcess> {
  const order: Order = { do: 'arm', step, moment, signal: 'SIGKILL' };
  return await spawnAgent(environment, { CRASHING_AGENT_ORDER: JSON.stringify(order) });
}

async function spawnAgent(
  environment: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>>,
): Promise<ObservedAgent> {
  const child = spawn(process.execPath, [...(await builtCrashingAgent())], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, CRASHING_AGENT_ENVIRONMENT: JSON.stringify(environment), ...more },
  });
  const agent = new ObservedAgent(child);
  addCleanup(() => agent.kill());
  return agent;
}

class ObservedAgent implements AgentProcess {
  readonly #child: Child;
  readonly #exited: Promise<void>;
  readonly #reports: Report[] = [];
  /** How many calls have finished, and which ones since it was armed. */
  #writes = 0;
  readonly #finished = new Set<string | undefined>();
  #stoppedBefore: string | undefined;
  readonly #waiting = new Set<() => void>();
  #log = '';

  constructor(child: Child) {
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      // Unlike `exit`, `close` comes when all output has been read.
      child.once('close', () => {
        resolve();
        this.#wake();
      });
    });
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_TAIL);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const report = JSON.parse(line) as Report;
      if (report.is === 'finished') {
        this.#writes += 1;
        this.#finished.add(report.step);
      } else this.#reports.push(report);
      this.#wake();
    });
  }

  async arm(step: string, moment: Moment, signal: 'SIGKILL' | 'SIGSTOP', about?: string): Promise<void> {
    this.#order({ do: 'arm', step, moment, signal, ...(about === undefined ? {} : { about }) });
    await this.next('armed');
    this.#finished.clear();
  }

  async signalled(signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
    this.#stoppedBefore = (await this.next('signal')).step;
    if (signal === 'SIGKILL') await this.#exited;
    else await this.#until(() => stateOf(this.#child.pid) === 'T' || undefined, 'it does not react to SIGSTOP', 5);
  }

  async resume(): Promise<void> {
    this.#child.kill('SIGCONT');
    await this.#until(() => this.#finished.has(this.#stoppedBefore) || undefined, 'it does not continue');
  }

  async until<Found>(check: () => Promise<Found | undefined>, patienceMs = Infinity): Promise<Found> {
    const late = performance.now() + patienceMs;
    for (;;) {
      const writes = this.#writes;
      const isLast = performance.now() > late;
      const found = await check();
      if (found !== undefined) return found;
      if (isLast) throw new Error(`Not within ${patienceMs} ms. The end of the agent's log:\n${this.#log}`);
      const mayCheck = (): boolean => this.#writes > writes || performance.now() > late;
      await this.#until(() => mayCheck() || undefined, 'it stopped writing');
    }
  }

  async survivedStart(): Promise<boolean> {
    const find = (): boolean | undefined => {
      if (this.#reports.some(({ is }) => is === 'ready')) return true;
      return this.#child.signalCode === 'SIGKILL' ? false : undefined;
    };
    return await this.#until(find, 'it neither starts nor dies');
  }

  async stepsOf(work: () => Promise<unknown>, last: string, about?: string): Promise<string[]> {
    this.#order({ do: 'report-steps', ...(about === undefined ? {} : { about }) });
    await this.next('reporting');
    const steps: string[] = [];
    await work();
    for (;;) {
      const { step, moment } = await this.next('step');
      if (moment === 'before') steps.push(step);
      else if (step === last) return steps;
    }
  }

  async requestCounts(): Promise<Readonly<Record<string, number>>> {
    this.#order({ do: 'report-requests' });
    return (await this.next('requests')).counts;
  }

  async stop(): Promise<void> {
    this.#order({ do: 'stop' });
    await this.next('stopped');
    await this.#exited;
  }

  log(): string {
    return this.#log;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Takes the next report of this kind. */
  async next<Is extends Report['is']>(is: Is): Promise<ReportOf<Is>> {
    return await this.#until(() => {
      const index = this.#reports.findIndex((report) => report.is === is);
      return index === -1 ? undefined : (this.#reports.splice(index, 1)[0] as ReportOf<Is>);
    }, `it does not report "${is}"`);
  }

  async #until<Found>(find: () => Found | undefined, complaint: string, everyMs?: number): Promise<Found> {
    const late = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) await this.#exited;
      const last = find();
      if (last !== undefined) return last;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null || performance.now() > late) {
        throw new Error(`The agent failed: ${complaint}. The end of its log:\n${this.#log}`);
      }
      await this.#wait(everyMs ?? 1000);
    }
  }

  /** Waits for a report or the exit, at most this long. */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #order(order: Order): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }
}

/** The state letter of a process in /proc: T is stopped. */
function stateOf(pid: number | undefined): string | undefined {
  // The command name before it is in parentheses and may contain spaces.
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.slice(0, 1);
}
