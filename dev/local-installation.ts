import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { destination } from 'pino';
import { type Agent, startAgent } from '../src/agent/agent.ts';
import { openManagement } from '../src/broker/management/open-management.ts';
import type { Management } from '../src/broker/management/management.ts';
import { requestUrl } from '../src/client/request-url.ts';
import { type Config, loadConfig } from '../src/config/config.ts';
import { showConfiguration } from '../src/config/shown-settings.ts';
import { createLog } from '../src/util/log.ts';
import type { FileSettings } from '../src/config/settings.ts';
import { bundlePage } from './bundle-page.ts';
import { freePorts } from './processes.ts';
import { type LocalRabbitMQ, startRabbitMQ } from './rabbitmq.ts';
import type { Steps } from './steps.ts';
import { type LocalTaskcluster, startTaskcluster } from './taskcluster/server.ts';
import { WORKING_COPY } from './working-copy.ts';

/** A complete installation on this machine, in one folder: broker, Taskcluster stand-in and agent. */
export interface LocalInstallation {
  readonly broker: LocalRabbitMQ;
  readonly taskcluster: LocalTaskcluster;
  readonly agent: Agent;
  readonly config: Config;
  /** The management API of its broker. */
  readonly management: Management;
  /** The environment with which another process uses this installation. */
  readonly environment: Readonly<Record<string, string>>;
  /** The AMQP URL of the vhost of the requests with the claimant's credentials, for a client's first claim. */
  readonly claimantUrl: string;
  /** The file that the agent logs to. */
  readonly logFile: string;
  /** The link of the page for operators. */
  readonly pageUrl: string;
  /** Stops everything and removes the folder. */
  stop(): Promise<void>;
}

/** Short intervals and low thresholds: what usually takes hours and thousands of messages takes seconds. */
const SPED_UP: Partial<FileSettings> = {
  rotationIntervalSeconds: 10,
  expiryAnnouncementSeconds: 2,
  warnAtMessages: 500,
  deleteAtMessages: 1500,
};

/** The Taskcluster client that sends mails; see config/dev-taskcluster.yml. */
const MAILER = 'pulse-agent';

/** Starts an installation in `folder` with the embedded store; each part is a step. */
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
    const broker = await steps.run('Start a private RabbitMQ with the management and event exchange plugins', (print) =>
      startRabbitMQ({
        folder: join(folder, 'rabbitmq'),
        cacheFolder: join(WORKING_COPY, '.cache/rabbitmq'),
        onProgress: print,
        signal,
      }),
    );
    closers.push(() => broker.stop());
    const taskcluster = await steps.run('Start a stand-in for Taskcluster', () =>
      startTaskcluster({ clientsFile: join(WORKING_COPY, 'config/dev-taskcluster.yml') }),
    );
    closers.push(() => taskcluster.close());

    const settingsFile = join(folder, 'settings.yml');
    writeFileSync(settingsFile, JSON.stringify(SPED_UP));
    const claimantPassword = randomBytes(18).toString('base64url');
    const operatorToken = randomBytes(33).toString('base64url');
    const [httpPort] = await freePorts(1);
    const environment = {
      PULSE_AGENT_CONFIG: settingsFile,
      RABBITMQ_URL: broker.amqpUrl,
      RABBITMQ_MANAGEMENT_URL: broker.managementUrl,
      TASKCLUSTER_ROOT_URL: taskcluster.rootUrl,
      TASKCLUSTER_CLIENT_ID: MAILER,
      TASKCLUSTER_ACCESS_TOKEN: taskcluster.credentials(MAILER).accessToken,
      STORE_URL: `lmdb:${join(folder, 'store')}`,
      PULSE_AGENT_SECRET: randomBytes(33).toString('base64'),
      PULSE_AGENT_CLAIMANT_PASSWORD: claimantPassword,
      HTTP_PORT: String(httpPort),
      PULSE_AGENT_OPERATOR_TOKEN: operatorToken,
    };
    const config = loadConfig(environment);
    const logFile = join(folder, 'agent.log');
    const log = createLog(config, destination({ dest: logFile, sync: true }));
    // The agent serves what is built.
    await steps.run('Build the page for operators', () => bundlePage(join(WORKING_COPY, 'dist')));
    const agent = await steps.run('Start Pulse Agent on its embedded store', () =>
      startAgent(config, { log, signal, shown: showConfiguration(environment, config) }),
    );
    closers.push(() => agent.stop());
    const management = openManagement(config);
    closers.push(async () => management.close());

    const claimant = new URL(requestUrl(broker.amqpUrl, config.requestVhost));
    claimant.username = `${config.id}-claimant`;
    claimant.password = claimantPassword;
    const claimantUrl = claimant.href;
    const pageUrl = `http://127.0.0.1:${httpPort}/#token=${operatorToken}`;
    return { broker, taskcluster, agent, config, management, environment, claimantUrl, logFile, pageUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
