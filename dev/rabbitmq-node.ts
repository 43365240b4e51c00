import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../src/util/agent-errors.ts';
import { runCommand } from './commands.ts';
import type { Epmd } from './epmd.ts';
import { recordPid } from './left-behind.ts';
import { spawnTied, type TiedProcess } from './processes.ts';
import type { BrokerIdentity } from './rabbitmq-files.ts';
import type { BrokerProgram, RabbitMQInstallation } from './rabbitmq-install.ts';
import { speaksAmqp } from './talk.ts';

/** A start takes 5 to 19 s on two cores; a busy machine needs a reserve. */
const START_TIMEOUT_MS = 90_000;
/** A stop takes 2 to 8 s; after this time the broker is killed. */
const STOP_GRACE_MS = 30_000;

/** A private node on 127.0.0.1, with its own administrator: alone, or of a cluster. */
export interface LocalRabbitMQ {
  readonly amqpUrl: string;
  readonly managementUrl: string;
  readonly user: string;
  readonly password: string;
  readonly nodeName: string;
  readonly amqpPort: number;
  readonly managementPort: number;
  readonly folder: string;
  /** Whether its process runs. */
  running(): boolean;
  /** Starts it after {@link stop} or {@link kill}, with the same folder, ports and data. */
  start(signal?: AbortSignal): Promise<void>;
  /** Stops it gracefully and waits until all its processes have exited. */
  stop(): Promise<void>;
  /** Kills it with SIGKILL, as a crash would. */
  kill(): Promise<void>;
  /** {@link stop}, then {@link start}. */
  restart(signal?: AbortSignal): Promise<void>;
  /** Suspends its process with SIGSTOP: its connections stay open, and nothing answers. */
  pause(): void;
  /** Continues it after {@link pause}. */
  resume(): void;
  /** Resolves when it serves AMQP and the management API. */
  ready(signal?: AbortSignal): Promise<void>;
  /** Runs rabbitmqctl against it and returns the output. */
  rabbitmqctl(args: readonly string[], signal?: AbortSignal): Promise<string>;
  /** Runs rabbitmq-plugins against it and returns the output. */
  rabbitmqPlugins(args: readonly string[], signal?: AbortSignal): Promise<string>;
}

/** What a node is made of. */
export interface NodeParts {
  /** It has the files of `writeBrokerFiles`. */
  readonly folder: string;
  readonly identity: BrokerIdentity;
  readonly installation: RabbitMQInstallation;
  /** `brokerEnvironment` of all these. */
  readonly env: NodeJS.ProcessEnv;
  readonly epmd: Epmd;
  readonly onProgress: (line: string) => void;
}

/** Makes a node that does not run yet. */
export function createNode(parts: NodeParts): LocalRabbitMQ {
  return new PrivateNode(parts);
}

class PrivateNode implements LocalRabbitMQ {
  readonly folder: string;
  readonly user: string;
  readonly password: string;
  readonly nodeName: string;
  readonly amqpPort: number;
  readonly managementPort: number;
  readonly amqpUrl: string;
  readonly managementUrl: string;
  readonly #parts: NodeParts;
  #usesEpmd = false;
  #process: TiedProcess | undefined;

  constructor(parts: NodeParts) {
    const { folder, identity } = parts;
    this.folder = folder;
    this.user = identity.user;
    this.password = identity.password;
    this.nodeName = identity.nodeName;
    this.amqpPort = identity.ports.amqp;
    this.managementPort = identity.ports.management;
    this.amqpUrl = `amqp://${this.user}:${this.password}@127.0.0.1:${this.amqpPort}`;
    this.managementUrl = `http://127.0.0.1:${this.managementPort}`;
    this.#parts = parts;
  }

  running(): boolean {
    return this.#process?.running() ?? false;
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.running()) return;
    const { epmd, onProgress, folder } = this.#parts;
    // After a process that exited by itself.
    await this.kill();
    const outputFd = openSync(join(folder, 'log/console.log'), 'a', 0o600);
    try {
      this.#usesEpmd = true;
      await epmd.acquire(outputFd, signal);
      const { file, args, env, cwd } = this.#command('rabbitmq-server');
      this.#process = await spawnTied(file, args, { env, cwd, outputFd });
      recordPid(folder, 'node', this.#process.pid);
      onProgress(`Starting a private RabbitMQ${this.#parts.identity.home === undefined ? '' : ` (${this.nodeName})`}.`);
      await this.ready(signal);
    } catch (error) {
      await this.kill();
      throw error;
    } finally {
      closeSync(outputFd);
    }
  }

  async stop(): Promise<void> {
    // A suspended process would not see SIGTERM.
    this.resume();
    await this.#process?.stop(STOP_GRACE_MS);
    await this.kill();
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
    rmSync(join(this.folder, 'node.pid'), { force: true });
    if (!this.#usesEpmd) return;
    this.#usesEpmd = false;
    await this.#parts.epmd.release();
  }

  async restart(signal?: AbortSignal): Promise<void> {
    await this.stop();
    await this.start(signal);
  }

  pause(): void {
    this.#process?.signal('SIGSTOP');
  }

  resume(): void {
    this.#process?.signal('SIGCONT');
  }

  async rabbitmqctl(args: readonly string[], signal?: AbortSignal): Promise<string> {
    return await this.#run('rabbitmqctl', args, signal);
  }

  async rabbitmqPlugins(args: readonly string[], signal?: AbortSignal): Promise<string> {
    return await this.#run('rabbitmq-plugins', args, signal);
  }

  async ready(signal?: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    let printedAt = startedAt;
    while (!((await speaksAmqp(this.amqpPort)) && (await this.#managementAnswers()))) {
      signal?.throwIfAborted();
      const now = performance.now();
      if (now - startedAt > START_TIMEOUT_MS || !this.running() || !this.#parts.epmd.running()) {
        throw new AgentError(
          'BrokerUnavailable',
          `The private RabbitMQ did not start; see ${join(this.folder, 'log')}: ${causeInLog(this.folder)}`,
        );
      }
      if (now - printedAt > 3000) {
        printedAt = now;
        this.#parts.onProgress(`  waiting for RabbitMQ, ${Math.round((now - startedAt) / 1000)} s so far`);
      }
      await delay(50, undefined, signal === undefined ? {} : { signal });
    }
  }

  async #run(program: BrokerProgram, args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
    const command = this.#command(program);
    return await runCommand(command.file, [...command.args, ...args], {
      env: command.env,
      cwd: command.cwd,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #command(program: BrokerProgram): { file: string; args: string[]; env: NodeJS.ProcessEnv; cwd: string } {
    const { installation, env, folder } = this.#parts;
    const [file, ...args] = installation.command(program);
    return { file, args, env, cwd: installation.workingFolder ?? folder };
  }

  async #managementAnswers(): Promise<boolean> {
    const authorization = `Basic ${Buffer.from(`${this.user}:${this.password}`).toString('base64')}`;
    const response = await fetch(`${this.managementUrl}/api/overview`, {
      headers: { authorization, connection: 'close' },
      signal: AbortSignal.timeout(5000),
    }).catch(() => undefined);
    await response?.body?.cancel();
    return response?.status === 200;
  }
}

/** The first error in the node's log, or the end of its console output: the console does not always show the cause. */
function causeInLog(folder: string): string {
  const read = (name: string): string => {
    const file = join(folder, 'log', name);
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  };
  const node = read('node.log');
  const fault = node.search(/\[(?:error|critical|emergency)\]/);
  if (fault !== -1) return node.slice(fault, fault + 1000);
  return (read('console.log') || node).slice(-500) || 'none';
}
