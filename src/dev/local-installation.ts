import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { destination } from 'pino';
import { type Agent, startAgent } from '../agent.ts';
import { type Config, loadConfig } from '../config.ts';
import { createLog } from '../log.ts';
import { type LocalRabbitMQ, startRabbitMQ } from './rabbitmq.ts';
import type { Steps } from './steps.ts';
import { type LocalTaskcluster, startTaskcluster } from './taskcluster/server.ts';

/** A whole installation on this machine: broker, Taskcluster stand-in and agent, all in one folder. */
export interface LocalInstallation {
  readonly broker: LocalRabbitMQ;
  readonly taskcluster: LocalTaskcluster;
  readonly agent: Agent;
  readonly config: Config;
  /** The environment with which another process finds this installation. */
  readonly environment: Readonly<Record<string, string>>;
  /** The broker's address with the claimant's credentials: all that a client needs for its first claim. */
  readonly claimantUrl: string;
  /** Where the agent logs to. */
  readonly logFile: string;
  /** Stops everything and removes the folder. */
  stop(): Promise<void>;
}

/** The working copy. */
export const WORKING_COPY = fileURLToPath(new URL('../../', import.meta.url));

/** Starts an installation in `folder`, on the embedded store, telling of each part. */
export async function startLocalInstallation(
  folder: string,
  steps: Steps,
  signal: AbortSignal,
): Promise<LocalInstallation> {
  mkdirSync(folder, { recursive: true });
  const closers: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const broker = await steps.run('Start a private RabbitMQ with the management and event exchange plugins', (tell) =>
      startRabbitMQ({
        folder: join(folder, 'rabbitmq'),
        cacheFolder: join(WORKING_COPY, '.cache/rabbitmq'),
        onProgress: tell,
        signal,
      }),
    );
    closers.push(() => broker.stop());
    const taskcluster = await steps.run('Start a stand-in for Taskcluster', () =>
      startTaskcluster({ clientsFile: join(WORKING_COPY, 'config/dev-taskcluster.yml') }),
    );
    closers.push(() => taskcluster.close());

    const claimantPassword = randomBytes(18).toString('base64url');
    const environment = {
      RABBITMQ_URL: broker.amqpUrl,
      RABBITMQ_MANAGEMENT_URL: broker.managementUrl,
      TASKCLUSTER_ROOT_URL: taskcluster.rootUrl,
      STORE_URL: `lmdb:${join(folder, 'store')}`,
      PULSE_AGENT_SECRET: randomBytes(33).toString('base64'),
      PULSE_AGENT_CLAIMANT_PASSWORD: claimantPassword,
    };
    const config = loadConfig(environment);
    const logFile = join(folder, 'agent.log');
    const log = createLog(config, destination({ dest: logFile, sync: true }));
    const agent = await steps.run('Start Pulse Agent on its embedded store', () => startAgent(config, { log, signal }));
    closers.push(() => agent.stop());

    const claimant = new URL(broker.amqpUrl);
    claimant.username = `${config.id}-claimant`;
    claimant.password = claimantPassword;
    return { broker, taskcluster, agent, config, environment, claimantUrl: claimant.href, logFile, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
