import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { destination } from 'pino';
import { startAgent } from '../../src/agent/agent.ts';
import { loadConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/util/log.ts';
import {
  interceptManagement,
  interceptStore,
  type Moment,
  observeChannels,
  observeWrites,
  type StepObserver,
} from './step-observer.ts';

// An agent in its own process that can kill or stop itself right before or after one of its steps. It reads orders from
// standard input and writes reports to standard output, as lines of JSON; its log goes to standard error.
// CRASHING_AGENT_ENVIRONMENT is the agent's environment as JSON; CRASHING_AGENT_ORDER is an order from the start on.

type Signal = 'SIGKILL' | 'SIGSTOP';

/** Counts only calls with this text in their arguments, and steps without arguments; all when absent. */
interface Counted {
  readonly about?: string;
}

/** What the process reads. */
export type Order =
  /** Count steps from now on; at this one (`any`: the first write to the broker) send the process the signal. */
  | (Counted & { readonly do: 'arm'; readonly step: string; readonly moment: Moment; readonly signal: Signal })
  /** Count steps from now on, and report them. */
  | (Counted & { readonly do: 'report-steps' })
  | { readonly do: 'report-requests' }
  /** Stop, as on SIGTERM. */
  | { readonly do: 'stop' };

/** What the process writes. */
export type Report =
  | { readonly is: 'ready' | 'armed' | 'reporting' | 'stopped' }
  | { readonly is: 'step' | 'signal'; readonly step: string; readonly moment: Moment }
  /** A call that writes has returned or failed; `step` is absent when it does not count. */
  | { readonly is: 'finished'; readonly step?: string | undefined }
  | { readonly is: 'requests'; readonly counts: Readonly<Record<string, number>> };

/** Writes synchronously: after a signal to itself the process writes nothing. */
function report(what: Report): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

class Steps implements StepObserver {
  readonly #taken = new Map<string, number>();
  #armed: Extract<Order, { do: 'arm' }> | undefined;
  #reporting = false;
  #about: string | undefined;

  arm(order: Extract<Order, { do: 'arm' }>): void {
    this.#taken.clear();
    this.#about = order.about;
    this.#armed = order;
  }

  reportSteps(order: Extract<Order, { do: 'report-steps' }>): void {
    this.#taken.clear();
    this.#about = order.about;
    this.#reporting = true;
  }

  /** The second step of one name gets a number: `management.putUserLimit 2`. */
  before(name: string, about?: string): string | undefined {
    if (!this.#counts(name, about)) return undefined;
    const times = (this.#taken.get(name) ?? 0) + 1;
    this.#taken.set(name, times);
    const label = times > 1 ? `${name} ${times}` : name;
    this.#at(label, 'before');
    return label;
  }

  after(label: string | undefined): void {
    if (label !== undefined) this.#at(label, 'after');
  }

  finished(label: string | undefined): void {
    report({ is: 'finished', step: label });
  }

  #counts(name: string, about: string | undefined): boolean {
    if (this.#about === undefined || about === undefined || about.includes(this.#about)) return true;
    // A stored nonce does not name the namespace of its request.
    return /^nonces.(remember|recordOutcome)$/.test(name);
  }

  #at(step: string, moment: Moment): void {
    if (this.#reporting) report({ is: 'step', step, moment });
    const armed = this.#armed;
    const isMeant = armed?.step === step || (armed?.step === 'any' && step.startsWith('management.'));
    if (armed === undefined || armed.moment !== moment || !isMeant) return;
    const { signal } = armed;
    this.#armed = undefined;
    report({ is: 'signal', step, moment });
    process.kill(process.pid, signal);
  }
}

/** Starts the agent and follows orders until `stop`. */
export async function run(): Promise<void> {
  const config = loadConfig(JSON.parse(process.env['CRASHING_AGENT_ENVIRONMENT'] ?? '{}') as NodeJS.ProcessEnv);
  const steps = new Steps();
  const first = JSON.parse(process.env['CRASHING_AGENT_ORDER'] ?? 'null') as Order | null;
  if (first?.do === 'arm') steps.arm(first);
  await observeChannels(config.rabbitmqUrl.reveal(), steps);
  const agent = await startAgent(config, {
    log: createLog(config, destination({ dest: 2, sync: true })),
    wrapStore: (store) => interceptStore(store, observeWrites(steps)),
    wrapManagement: (management) => interceptManagement(management, observeWrites(steps)),
  });
  report({ is: 'ready' });

  const orders = createInterface({ input: process.stdin });
  orders.on('line', (line) => {
    const order = JSON.parse(line) as Order;
    switch (order.do) {
      case 'arm':
        steps.arm(order);
        report({ is: 'armed' });
        break;
      case 'report-steps':
        steps.reportSteps(order);
        report({ is: 'reporting' });
        break;
      case 'report-requests':
        report({ is: 'requests', counts: Object.fromEntries(agent.requestCounts) });
        break;
      case 'stop':
        orders.close();
        void agent.stop().then(() => {
          report({ is: 'stopped' });
          process.exit(0);
        });
        break;
    }
  });
  // The test has exited.
  process.stdin.on('end', () => process.exit(1));
}
