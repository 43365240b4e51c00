import { fileURLToPath } from 'node:url';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createManagement, type Management } from '../src/broker/management/management.ts';
import { requestUrl } from '../src/client/request-url.ts';
import { markerNames } from '../src/broker/marker.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { freePorts } from '../dev/processes.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../dev/rabbitmq.ts';
import { Secret } from '../src/util/secret.ts';
import { type BenchProcess, startProcess } from './processes.ts';

/** The settings of every agent of the benchmark. */
export const SETTINGS = fileURLToPath(new URL('settings.yml', import.meta.url));

/** The default, which is the id of the agent. */
const REQUEST_VHOST = 'pulse-agent';

/** What all measurements run against: one broker and one Taskcluster stand-in, each in its own process. */
export interface Site {
  readonly broker: LocalRabbitMQ;
  readonly management: Management;
  /** Leads to the vhost of the requests, with the account of the agent. */
  readonly requestAmqpUrl: string;
  readonly taskclusterUrl: string;
  readonly folder: string;
  /** The Taskcluster client that signs requests; see config/dev-taskcluster.yml. */
  readonly credentials: { readonly clientId: string; readonly accessToken: string };
  /** Removes the marker, so that an agent with another store may use the broker. */
  forgetStore(): Promise<void>;
  /** The environment of an agent on a store. */
  agentEnvironment(storeUrl: string): Record<string, string>;
  close(): Promise<void>;
}

/** Starts the site in `folder`. */
export async function openSite(folder: string, progress: (line: string) => void): Promise<Site> {
  const broker = await startRabbitMQ({
    folder: join(folder, 'rabbitmq'),
    cacheFolder: join(WORKING_COPY, '.cache/rabbitmq'),
    onProgress: progress,
  });
  const [port = 0] = await freePorts(1);
  const taskcluster: BenchProcess = await startProcess('taskcluster-process.ts', { BENCH_PORT: String(port) });
  const { user: username, password, managementUrl } = broker;
  const url = new URL(managementUrl);
  const management = createManagement({
    url: url.origin,
    username,
    password: new Secret(password),
    timeoutMs: 60_000,
    concurrency: 32,
  });
  // As an agent does at its start: requesters connect before it.
  await management.putVhost(REQUEST_VHOST, 'requests');
  await management.putPermissions(REQUEST_VHOST, username, { configure: '.*', write: '.*', read: '.*' });
  const taskclusterUrl = `http://127.0.0.1:${port}`;
  const secret = randomBytes(33).toString('base64');
  return {
    broker,
    management,
    requestAmqpUrl: requestUrl(broker.amqpUrl, REQUEST_VHOST),
    taskclusterUrl,
    folder,
    credentials: { clientId: 'operator', accessToken: 'for-development-only-operator-00000000001' },
    agentEnvironment: (storeUrl) => ({
      RABBITMQ_URL: broker.amqpUrl,
      RABBITMQ_MANAGEMENT_URL: managementUrl,
      TASKCLUSTER_ROOT_URL: taskclusterUrl,
      STORE_URL: storeUrl,
      PULSE_AGENT_SECRET: secret,
      PULSE_AGENT_CLAIMANT_PASSWORD: 'bench-claimant',
      LOG_LEVEL: 'warn',
      PULSE_AGENT_CONFIG: SETTINGS,
    }),
    async forgetStore() {
      const names = {
        id: 'pulse-agent',
        requestVhost: REQUEST_VHOST,
        usernamePrefix: '',
        namespacePrefix: 'taskcluster-',
      };
      for (const name of markerNames(names)) await management.deleteGlobalParameter(name);
    },
    async close() {
      management.close();
      await taskcluster.stop();
      await broker.kill();
    },
  };
}
