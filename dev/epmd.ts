import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { recordPid } from './left-behind.ts';
import { spawnTied, type TiedProcess } from './processes.ts';
import type { RabbitMQInstallation } from './rabbitmq-install.ts';
import { accepts } from './talk.ts';

/** The port mapper of Erlang nodes. It runs while one of them uses it. */
export interface Epmd {
  /** Starts it for its first user. */
  acquire(outputFd: number, signal?: AbortSignal): Promise<void>;
  /** Stops it after its last user. */
  release(): Promise<void>;
  running(): boolean;
}

/** How long it may take to listen, in ms: the machine may be busy. */
const LISTEN_TIMEOUT_MS = 30_000;

/** The epmd that a node would start itself would never exit. */
export function createEpmd(options: {
  /** Where its pid is recorded. */
  readonly folder: string;
  readonly port: number;
  readonly installation: RabbitMQInstallation;
  readonly env: NodeJS.ProcessEnv;
}): Epmd {
  const { folder, port, installation, env } = options;
  let users = 0;
  let running: Promise<TiedProcess> | undefined;
  let program: TiedProcess | undefined;

  async function start(outputFd: number, signal: AbortSignal | undefined): Promise<TiedProcess> {
    const [file, ...args] = installation.command('epmd');
    const started = await spawnTied(file, [...args, '-port', String(port), '-address', '127.0.0.1'], { env, outputFd });
    program = started;
    recordPid(folder, 'epmd', started.pid);
    const until = performance.now() + LISTEN_TIMEOUT_MS;
    while (!(await accepts(port))) {
      signal?.throwIfAborted();
      if (!started.running() || performance.now() > until) {
        await started.kill();
        throw new Error(`epmd does not listen on port ${port}.`);
      }
    }
    return started;
  }

  return {
    async acquire(outputFd, signal) {
      users++;
      running ??= start(outputFd, signal);
      await running;
    },
    async release() {
      users--;
      if (users > 0) return;
      const last = running;
      running = undefined;
      await (await last?.catch(() => undefined))?.stop(1000);
      if (users === 0) rmSync(join(folder, 'epmd.pid'), { force: true });
    },
    running: () => program?.running() ?? false,
  };
}
