import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { createCondition } from '../support/condition.ts';
import { addRunCleanup } from '../support/cleanup.ts';
import type { ExitStatus } from '../support/process-output.ts';
import type { JsonObject } from './situations.ts';

/**
 * A line on the standard input of a driver, as a JSON object. The driver runs commands at the same time: it must not wait
 * for the end of one before it reads the next. Times in ms, instants as text, as in the contract.
 *
 * | `do` | more fields | result |
 * |---|---|---|
 * | `open` | `client`: a new name; `url`, `agentId`, `audience`, `credentials` (`clientId`, `accessToken`), `ca` (PEM), `timeoutMs`, `clockAheadMs`: how far the clock of the client is ahead; all but `client` and `url` optional | `{}` |
 * | `set-clock` | `client`, `aheadMs` | `{}` |
 * | `ping` | `client` | as in the contract |
 * | `claim` | `client`, `namespace`, `expires`, `contact`, `queueLimits` | as in the contract |
 * | `get` | `client`, `namespace` | as in the contract |
 * | `describe` | `client`, `namespace` | as in the contract; some fields may be left out |
 * | `list` | `client`, `pageSize` | `{"namespaces": […]}`, of all pages |
 * | `release` | `client`, `namespace` | as in the contract |
 * | `revoke` | `client`, `namespace`, `until` | as in the contract |
 * | `lease` | `client`, `lease`: a new name; `namespace`, `expires`, `contact`, `queueLimits` | as `held` |
 * | `held` | `lease` | `connectionString`, `connectionStrings` (a list of all), `reclaimAt`, `expires`, without a request |
 * | `credentials` | `lease` | `{"connectionString": …}` for a new connection |
 * | `stop` | `lease`, `release`: whether the namespace is released, too | `{}` |
 * | `close` | `client` | `{}` |
 * | `decide-renewal` | `claimedMs`, `reclaimMs`, `random` | `atMs` |
 * | `decide-after-failure` | `held` (`claimedMs`, `reclaimMs`, `expiresMs`), `code`, `failures`, `credentialsRefused`, `nowMs`, `aheadMs`, `random` | `{"next": "claim", "atMs": …}` or `{"next": "lost", "reason": …}` |
 * | `decide-retry` | `method` (`claim-namespace`, …), `code`, `retryable`, `details`, `noReply`: no agent answered; `failures`, `leftMs`, `nowMs`, `random` | `{"pauseMs": …}`, null: no retry |
 *
 * Each call of the contract has `timeoutMs`, too, which is optional.
 *
 * When the input ends, the driver closes its clients, and its process ends by itself: without a call that ends it, so that
 * a thread or a timer that the library has left behind holds it.
 *
 * A line on its standard output is an {@link Answer} or a {@link LeaseEvent}. Its standard error is shown when a test fails.
 */
export interface Command extends JsonObject {
  readonly id: number;
  readonly do: string;
}

/** The end of a command: exactly one of `result` and `error`. */
export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: DriverError;
}

/** An error of the library. */
export interface DriverError {
  /** Which type it is, by the names of docs/client.md: `InsufficientScopes`, or `ClockSkew`. */
  readonly type: string;
  readonly code: string;
  readonly retryable: boolean;
  readonly message: string;
  readonly details: JsonObject;
  /** Of `ClockSkew`. */
  readonly aheadMs?: number;
  /** Of `Unavailable`. */
  readonly mayHaveActed?: boolean;
}

/**
 * An event of a lease. `renewed` has `changed`, `reclaimAt` and `expires`; `failing` has `error`, `failures`, `retryAt` and
 * `reclaimAt`; `lost` has `error`, whose details have `reason`.
 */
export interface LeaseEvent extends JsonObject {
  readonly event: 'renewed' | 'failing' | 'lost';
  readonly lease: string;
}

/** How to start a driver. */
export interface DriverProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A command failed; `error` is the error of the library. */
export class CommandFailed extends Error {
  readonly error: DriverError;

  constructor(command: JsonObject, error: DriverError) {
    super(`${String(command['do'])} failed: ${JSON.stringify(error)}`);
    this.error = error;
  }
}

/** A running driver. */
export interface Driver {
  /** @throws CommandFailed */
  send(command: JsonObject & { readonly do: string }): Promise<unknown>;
  /** Waits for an event of this lease that `take` accepts; `take` gets those from the `first` one on, in order. */
  nextEvent(lease: string, first: number): Promise<LeaseEvent>;
  /** Ends its input. Resolves after its exit. */
  end(): Promise<{ readonly status: ExitStatus; readonly stderr: string }>;
}

/** Starts a driver. It is killed after the run at the latest. */
export function startDriver({ command, args, cwd, env }: DriverProgram): Driver {
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  const condition = createCondition();
  const answers = new Map<number, Answer>();
  const events: LeaseEvent[] = [];
  let lastId = 0;
  let stderr = '';
  let failure: string | undefined;
  let status: ExitStatus | undefined;
  child.stdin.on('error', () => undefined);
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  createInterface({ input: child.stdout }).on('line', (line) => {
    try {
      const read = JSON.parse(line) as Answer | LeaseEvent;
      if ('event' in read) events.push(read);
      else answers.set(read.id, read);
    } catch {
      failure ??= `The driver printed a line that is not JSON: ${line}`;
    }
    condition.notify();
  });
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      failure = `The driver did not start: ${error.message}`;
      resolve();
    });
    // Unlike `exit`, `close` comes when all output has been read.
    child.once('close', (code, signal) => {
      status = code ?? signal;
      condition.notify();
      resolve();
    });
  });
  addRunCleanup(async () => {
    if (status === undefined) child.kill('SIGKILL');
    await exited;
  });
  const assertRuns = (): void => {
    if (failure !== undefined || status !== undefined) {
      throw new Error(`${failure ?? `The driver exited with ${status}.`} Its standard error:\n${stderr}`);
    }
  };
  return {
    async send(given) {
      const id = (lastId += 1);
      child.stdin.write(`${JSON.stringify({ ...given, id })}\n`);
      const find = (): Answer | undefined => {
        const answer = answers.get(id);
        if (answer === undefined) assertRuns();
        return answer;
      };
      const waiting = (): string => `The driver does not answer ${JSON.stringify(given)}. Standard error:\n${stderr}`;
      const { result, error } = await condition.wait(find, { failure: waiting });
      answers.delete(id);
      if (error !== undefined) throw new CommandFailed(given, error);
      return result;
    },
    async nextEvent(lease, first) {
      const find = (): LeaseEvent | undefined => {
        const event = events.filter((each) => each.lease === lease)[first];
        if (event === undefined) assertRuns();
        return event;
      };
      return await condition.wait(find, {
        failure: () => `No event of ${lease} came. All events: ${JSON.stringify(events)}. Standard error:\n${stderr}`,
      });
    },
    async end() {
      child.stdin.end();
      const find = (): true | undefined => (status === undefined ? undefined : true);
      const failing = (): string => `The driver does not exit after the end of its input. Standard error:\n${stderr}`;
      await condition.wait(find, { failure: failing, patienceMs: 30_000 });
      return { status: status ?? null, stderr };
    },
  };
}
