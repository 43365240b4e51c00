import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { createEpmd } from './epmd.ts';
import { killLeftBehind } from './left-behind.ts';
import { brokerEnvironment, homeOf, loadOrMakeIdentity, writeBrokerFiles } from './rabbitmq-files.ts';
import { ensureRabbitMQ } from './rabbitmq-install.ts';
import { createNode, type LocalRabbitMQ } from './rabbitmq-node.ts';

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

export type { LocalRabbitMQ } from './rabbitmq-node.ts';

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
  await killLeftBehind(folder, `HOME=${homeOf(folder, {})}`);
  const identity = await loadOrMakeIdentity(folder);
  writeBrokerFiles(folder, identity, { plugins: options.plugins ?? [], extraConfig: options.extraConfig ?? '' });
  const env = brokerEnvironment(folder, identity, installation);
  const epmd = createEpmd({ folder, port: identity.ports.epmd, installation, env });
  const broker = createNode({ folder, identity, installation, env, epmd, onProgress });
  await broker.start(options.signal);
  return broker;
}
