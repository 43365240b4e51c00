import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { destination } from 'pino';
import { startAgent } from '../../src/agent.ts';
import { loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import {
  interceptManagement,
  interceptStore,
  type Moment,
  observeChannels,
  observing,
  type StepObserver,
} from './steps.ts';

// An agent in a process of its own that can be told to kill or to stop itself right before or after one of its steps.
// Orders come as lines of JSON on standard input, reports go as lines of JSON to standard output; the log goes to
// standard error. The agent's environment is the JSON object in CRASHING_AGENT_ENVIRONMENT.

/** What the process is told. */
export type Order =
  /** From now on steps are counted anew; at this one the process sends itself the signal. */
  | { readonly do: 'arm'; readonly step: string; readonly moment: Moment; readonly signal: 'SIGKILL' | 'SIGSTOP' }
  /** From now on steps are counted anew and reported. */
  | { readonly do: 'report-steps' }
  | { readonly do: 'report-requests' }
  /** Stop as on SIGTERM. */
  | { readonly do: 'stop' };

/** What the process reports. */
export type Report =
  | { readonly is: 'ready' | 'armed' | 'reporting' | 'stopped' }
  | { readonly is: 'step' | 'signal'; readonly step: string; readonly moment: Moment }
  | { readonly is: 'requests'; readonly counts: Readonly<Record<string, number>> };

/** Written at once: after a signal to itself there is no later. */
function report(what: Report): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

class Steps implements StepObserver {
  readonly #taken = new Map<string, number>();
  #armed: Extract<Order, { do: 'arm' }> | undefined;
  #reporting = false;

  arm(order: Extract<Order, { do: 'arm' }>): void {
    this.#taken.clear();
    this.#armed = order;
  }

  reportSteps(): void {
    this.#taken.clear();
    this.#reporting = true;
  }

  before(name: string): void {
    this.#taken.set(name, (this.#taken.get(name) ?? 0) + 1);
    this.#at(this.#label(name), 'before');
  }

  after(name: string): void {
    this.#at(this.#label(name), 'after');
  }

  /** A step that comes a second time gets a number: `management.putUserLimit 2`. */
  #label(name: string): string {
    const times = this.#taken.get(name) ?? 0;
    return times > 1 ? `${name} ${times}` : name;
  }

  #at(step: string, moment: Moment): void {
    if (this.#reporting) report({ is: 'step', step, moment });
    if (this.#armed?.step !== step || this.#armed.moment !== moment) return;
    const { signal } = this.#armed;
    this.#armed = undefined;
    report({ is: 'signal', step, moment });
    process.kill(process.pid, signal);
  }
}

const config = loadConfig(JSON.parse(process.env['CRASHING_AGENT_ENVIRONMENT'] ?? '{}') as NodeJS.ProcessEnv);
const steps = new Steps();
await observeChannels(config.rabbitmqUrl.reveal(), steps);
const agent = await startAgent(config, {
  log: createLog(config, destination({ dest: 2, sync: true })),
  wrapStore: (store) => interceptStore(store, observing(steps)),
  wrapManagement: (management) => interceptManagement(management, observing(steps)),
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
      steps.reportSteps();
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
// Whoever gave the orders is gone.
process.stdin.on('end', () => process.exit(1));
