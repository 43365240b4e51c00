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

/** How long an agent may take for anything, in ms; other tests may keep the machine busy. */
const PATIENCE_MS = 60_000;

/** How much of an agent's log is kept for the message of a failure, in characters. */
const LOG_TAIL = 4000;

/** An agent in a process of its own. */
export interface AgentProcess {
  /**
   * The process sends itself this signal at this step.
   *
   * @param about counts only calls that are given this text, such as a namespace, and replies and acknowledgements;
   *   without it nothing else should be under way.
   */
  arm(step: string, moment: Moment, signal: 'SIGKILL' | 'SIGSTOP', about?: string): Promise<void>;
  /** Waits until the agent has sent itself the signal it was armed with, and that has worked. */
  signalled(signal: 'SIGKILL' | 'SIGSTOP'): Promise<void>;
  /** Goes on after a SIGSTOP before a call; resolves when that call is over, whether it was made or failed. */
  resume(): Promise<void>;
  /**
   * Looks until something is found, again whenever the agent has written to the store or to the broker.
   *
   * @param patienceMs how long it may take; a minute without a write when absent
   */
  until<Found>(look: () => Promise<Found | undefined>, patienceMs?: number): Promise<Found>;
  /** The steps that it takes while `work` is under way, up to and including the one called `last`, in order. */
  stepsOf(work: () => Promise<unknown>, last: string, about?: string): Promise<string[]>;
  /** Whether it serves requests at the end of its start; false: it has died before. */
  survivedStart(): Promise<boolean>;
  /** What became of its requests so far, by `<method> <outcome>`. */
  requestCounts(): Promise<Readonly<Record<string, number>>>;
  /** Stops it as SIGTERM does and waits for its end. */
  stop(): Promise<void>;
  /** Kills it and waits for its end. */
  kill(): Promise<void>;
  /** The latest of its log. */
  log(): string;
}

/** Starts an agent with this environment; it is killed after the test at the latest. */
export async function startAgentProcess(environment: Readonly<Record<string, string>>): Promise<AgentProcess> {
  const agent = await spawnAgent(environment, {});
  await agent.next('ready');
  return agent;
}

/**
 * Starts an agent that kills itself at this step of its start, or, when that is not taken there, later.
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
  /** Of how many calls it has told that they are over, and which those were since it was armed. */
  #writes = 0;
  readonly #over = new Set<string | undefined>();
  #stoppedBefore: string | undefined;
  readonly #waiting = new Set<() => void>();
  #log = '';

  constructor(child: Child) {
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      // `close` comes when all that it wrote has been read.
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
      if (report.is === 'over') {
        this.#writes += 1;
        this.#over.add(report.step);
      } else this.#reports.push(report);
      this.#wake();
    });
  }

  async arm(step: string, moment: Moment, signal: 'SIGKILL' | 'SIGSTOP', about?: string): Promise<void> {
    this.#order({ do: 'arm', step, moment, signal, ...(about === undefined ? {} : { about }) });
    await this.next('armed');
    this.#over.clear();
  }

  async signalled(signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
    this.#stoppedBefore = (await this.next('signal')).step;
    if (signal === 'SIGKILL') await this.#exited;
    else await this.#until(() => stateOf(this.#child.pid) === 'T' || undefined, 'it does not stop', 5);
  }

  async resume(): Promise<void> {
    this.#child.kill('SIGCONT');
    await this.#until(() => this.#over.has(this.#stoppedBefore) || undefined, 'it does not go on');
  }

  async until<Found>(look: () => Promise<Found | undefined>, patienceMs = Infinity): Promise<Found> {
    const late = performance.now() + patienceMs;
    for (;;) {
      const writes = this.#writes;
      const isLast = performance.now() > late;
      const found = await look();
      if (found !== undefined) return found;
      if (isLast) throw new Error(`The agent has not done it in ${patienceMs} ms. The end of its log:\n${this.#log}`);
      const mayLook = (): boolean => this.#writes > writes || performance.now() > late;
      await this.#until(() => mayLook() || undefined, 'it writes nothing more');
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

  /** Takes the first report of this kind out of those that nobody has taken. */
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

  /** Until something happens, or so long. */
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
  // The name before it is in parentheses and may hold anything.
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.slice(0, 1);
}
