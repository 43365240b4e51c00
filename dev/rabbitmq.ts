import { closeSync, existsSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError } from '../src/util/agent-errors.ts';
import { runCommand } from './commands.ts';
import { spawnTied, type TiedProcess } from './processes.ts';
import { type BrokerIdentity, brokerEnvironment, loadOrMakeIdentity, writeBrokerFiles } from './rabbitmq-files.ts';
import { ensureRabbitMQ, type RabbitMQInstallation } from './rabbitmq-install.ts';

/** A start takes 5 to 19 s on two cores; a busy machine needs a reserve. */
const START_TIMEOUT_MS = 90_000;
/** A stop takes 2 to 8 s; after this time the broker is killed. */
const STOP_GRACE_MS = 30_000;

/** How to start a private broker. */
export interface RabbitMQOptions {
  /** The broker writes only here. In the folder of an earlier broker it has that one's data, user and ports. */
  folder: string;
  /** RabbitMQ is unpacked here where it cannot be installed; default `.cache/rabbitmq` of the current folder. */
  cacheFolder?: string;
  /** Plugins in addition to management and event exchange. */
  plugins?: readonly string[];
  /** Lines to add to rabbitmq.conf. */
  extraConfig?: string;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}

/** A private broker: one node on 127.0.0.1, with its own administrator. */
export interface LocalRabbitMQ {
  readonly amqpUrl: string;
  readonly managementUrl: string;
  readonly user: string;
  readonly password: string;
  readonly nodeName: string;
  readonly amqpPort: number;
  readonly managementPort: number;
  readonly folder: string;
  /** Whether the broker's process runs. */
  running(): boolean;
  /** Starts it after {@link stop} or {@link kill}, with the same folder, ports and data. */
  start(signal?: AbortSignal): Promise<void>;
  /** Stops it gracefully and waits until all its processes have exited. */
  stop(): Promise<void>;
  /** Kills it with SIGKILL, as a crash would. */
  kill(): Promise<void>;
  /** {@link stop}, then {@link start}. */
  restart(signal?: AbortSignal): Promise<void>;
  /** Runs rabbitmqctl against it and returns the output. */
  rabbitmqctl(args: readonly string[], signal?: AbortSignal): Promise<string>;
  /** Runs rabbitmq-plugins against it and returns the output. */
  rabbitmqPlugins(args: readonly string[], signal?: AbortSignal): Promise<string>;
}

/**
 * Starts a private RabbitMQ, installs it first if necessary, and waits until it serves AMQP and HTTP. It dies with this
 * process, even if that is killed.
 *
 * @throws AgentError `BrokerUnavailable` when RabbitMQ cannot be installed or does not start
 * @example
 * const broker = await startRabbitMQ({ folder: '.cache/demo/rabbitmq' });
 * await broker.stop();
 */
export async function startRabbitMQ(options: RabbitMQOptions): Promise<LocalRabbitMQ> {
  const folder = resolve(options.folder);
  const onProgress = options.onProgress ?? (() => undefined);
  const abort = options.signal === undefined ? {} : { signal: options.signal };
  const installation = await ensureRabbitMQ({
    cacheFolder: resolve(options.cacheFolder ?? '.cache/rabbitmq'),
    onProgress,
    ...abort,
  });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await killLeftBehind(folder);
  const identity = await loadOrMakeIdentity(folder);
  writeBrokerFiles(folder, identity, { plugins: options.plugins ?? [], extraConfig: options.extraConfig ?? '' });
  const broker = new PrivateBroker(folder, identity, installation, onProgress);
  await broker.start(options.signal);
  return broker;
}

class PrivateBroker implements LocalRabbitMQ {
  readonly folder: string;
  readonly user: string;
  readonly password: string;
  readonly nodeName: string;
  readonly amqpPort: number;
  readonly managementPort: number;
  readonly amqpUrl: string;
  readonly managementUrl: string;
  readonly #identity: BrokerIdentity;
  readonly #installation: RabbitMQInstallation;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #scripts: string;
  readonly #onProgress: (line: string) => void;
  #epmd: TiedProcess | undefined;
  #node: TiedProcess | undefined;

  constructor(
    folder: string,
    identity: BrokerIdentity,
    installation: RabbitMQInstallation,
    onProgress: (line: string) => void,
  ) {
    this.folder = folder;
    this.user = identity.user;
    this.password = identity.password;
    this.nodeName = identity.nodeName;
    this.amqpPort = identity.ports.amqp;
    this.managementPort = identity.ports.management;
    this.amqpUrl = `amqp://${this.user}:${this.password}@127.0.0.1:${this.amqpPort}`;
    this.managementUrl = `http://127.0.0.1:${this.managementPort}`;
    this.#identity = identity;
    this.#installation = installation;
    // The scripts in `binFolder` are links.
    this.#scripts = dirname(realpathSync(join(installation.binFolder, 'rabbitmq-server')));
    this.#environment = brokerEnvironment(folder, identity, installation);
    this.#onProgress = onProgress;
  }

  running(): boolean {
    return this.#node?.running() ?? false;
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.running()) return;
    const output = openSync(join(this.folder, 'log/console.log'), 'a', 0o600);
    const options = { env: this.#environment, cwd: this.#scripts, outputFd: output };
    try {
      // The epmd that the broker would start itself would never exit.
      const epmd = join(this.#installation.erlangFolder, 'epmd');
      this.#epmd = await spawnTied(
        epmd,
        ['-port', String(this.#identity.ports.epmd), '-address', '127.0.0.1'],
        options,
      );
      await this.#until(() => accepts(this.#identity.ports.epmd), signal);
      this.#node = await spawnTied(join(this.#scripts, 'rabbitmq-server'), [], options);
      writeFileSync(join(this.folder, 'pids'), `${this.#epmd.pid} ${this.#node.pid}\n`);
      this.#onProgress('Starting a private RabbitMQ.');
      await this.#until(async () => (await speaksAmqp(this.amqpPort)) && (await this.#managementAnswers()), signal);
    } catch (error) {
      await this.kill();
      throw error;
    } finally {
      closeSync(output);
    }
  }

  async stop(): Promise<void> {
    await this.#node?.stop(STOP_GRACE_MS);
    await this.kill();
  }

  async kill(): Promise<void> {
    await this.#node?.kill();
    await this.#epmd?.stop(1000);
    this.#node = undefined;
    this.#epmd = undefined;
    rmSync(join(this.folder, 'pids'), { force: true });
  }

  async restart(signal?: AbortSignal): Promise<void> {
    await this.stop();
    await this.start(signal);
  }

  async rabbitmqctl(args: readonly string[], signal?: AbortSignal): Promise<string> {
    return await this.#run('rabbitmqctl', args, signal);
  }

  async rabbitmqPlugins(args: readonly string[], signal?: AbortSignal): Promise<string> {
    return await this.#run('rabbitmq-plugins', args, signal);
  }

  async #run(script: string, args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
    return await runCommand(join(this.#scripts, script), args, {
      env: this.#environment,
      cwd: this.#scripts,
      ...(signal === undefined ? {} : { signal }),
    });
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

  async #until(ready: () => Promise<boolean>, signal: AbortSignal | undefined): Promise<void> {
    const startedAt = performance.now();
    let printedAt = startedAt;
    while (!(await ready())) {
      signal?.throwIfAborted();
      const now = performance.now();
      const node = this.#node;
      if (now - startedAt > START_TIMEOUT_MS || (node !== undefined && !node.running()) || !this.#epmd?.running()) {
        throw new AgentError(
          'BrokerUnavailable',
          `The private RabbitMQ did not start; see ${join(this.folder, 'log')}: ${causeInLog(this.folder)}`,
        );
      }
      if (now - printedAt > 3000) {
        printedAt = now;
        this.#onProgress(`  waiting for RabbitMQ, ${Math.round((now - startedAt) / 1000)} s so far`);
      }
      await delay(50, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** Kills the broker that an earlier process, killed before it could clean up, left running in this folder. */
async function killLeftBehind(folder: string): Promise<void> {
  const file = join(folder, 'pids');
  if (!existsSync(file)) return;
  for (const pid of readFileSync(file, 'utf8').trim().split(/\s+/).map(Number)) {
    try {
      // The pid may belong to another process by now: only this broker's environment names the folder.
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`RABBITMQ_MNESIA_BASE=${join(folder, 'mnesia')}\0`))
        continue;
      process.kill(pid, 'SIGKILL');
      while (existsSync(`/proc/${pid}`)) await delay(20);
    } catch {
      // It has exited.
    }
  }
  rmSync(file, { force: true });
}

/** The first error in the broker's log, or the end of its console output: the console does not always show the cause. */
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

async function accepts(port: number): Promise<boolean> {
  return await talk(port, Buffer.alloc(0), () => true);
}

/** Whether AMQP 0-9-1 is answered: an open port may belong to a broker that is still starting. */
async function speaksAmqp(port: number): Promise<boolean> {
  return await talk(port, Buffer.from('AMQP\0\0\x09\x01', 'latin1'), (answer) => answer[0] === 1);
}

async function talk(port: number, request: Buffer, isExpected: (answer: Buffer) => boolean): Promise<boolean> {
  return await new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 2000 });
    const end = (result: boolean): void => {
      socket.destroy();
      done(result);
    };
    socket.once('connect', () => (request.length === 0 ? end(true) : socket.write(request)));
    socket.once('data', (answer) => end(isExpected(answer)));
    for (const event of ['error', 'timeout', 'close']) socket.once(event, () => end(false));
  });
}
