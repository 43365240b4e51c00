import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { createManagement, type Management } from '../src/broker/management/management.ts';
import { requestUrl } from '../src/client/request-url.ts';
import { markerNames } from '../src/broker/marker.ts';
import type { FileSettings } from '../src/config/settings.ts';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { recordedPid } from '../dev/left-behind.ts';
import { freePorts } from '../dev/processes.ts';
import { type LocalRabbitMQ, startRabbitMQ } from '../dev/rabbitmq.ts';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import { Secret } from '../src/util/secret.ts';
import { readCpuMs } from './process-figures.ts';
import { type BenchProcess, startProcess } from './processes.ts';

/** The settings of every agent of the benchmark. */
const SETTINGS = fileURLToPath(new URL('settings.yml', import.meta.url));

const PROGRAM = 'dist/cli/main.js';

/** Concurrent calls of the management API: more only make RabbitMQ slower. */
const CONCURRENCY = 32;

/** How the names of the users begin that are made without an agent. */
export function rawPrefix({ id }: Pick<SiteNames, 'id'>): string {
  return `raw-${id}-`;
}

/** Where the broker is, and the names that the agents of the benchmark have there. */
export interface SitePlace {
  readonly amqpUrl: string;
  readonly managementUrl: string;
  readonly user: string;
  readonly password: string;
  readonly names: SiteNames;
}

/** The settings with these names. */
export interface SiteNames {
  readonly id: string;
  readonly requestVhost: string;
  readonly usernamePrefix: string;
  readonly namespacePrefix: string;
}

/** The defaults. */
const NAMES: SiteNames = {
  id: 'pulse-agent',
  requestVhost: 'pulse-agent',
  usernamePrefix: '',
  namespacePrefix: 'taskcluster-',
};

/** What all measurements run against: one broker and one Taskcluster stand-in, each in its own process. */
export interface Site extends SitePlace {
  /** The vhost of the namespaces. */
  readonly vhost: string;
  readonly management: Management;
  /** Leads to the vhost of the requests, with the account of the agent. */
  readonly requestAmqpUrl: string;
  readonly taskclusterUrl: string;
  readonly folder: string;
  /** The CPU time that RabbitMQ has used so far, in ms; NaN where it ran already. */
  readonly brokerCpuMs: () => number;
  /** The built program. */
  readonly program: string;
  /** The Taskcluster client that signs requests; see config/dev-taskcluster.yml. */
  readonly credentials: { readonly clientId: string; readonly accessToken: string };
  /** Removes the marker and all accounts, so that an agent with another store may use the broker. */
  forgetStore(): Promise<void>;
  /** Writes a file with the settings of the benchmark and these, for PULSE_AGENT_CONFIG. */
  writeSettings(settings: Partial<FileSettings>): string;
  storeUrl(name: string): string;
  /** The environment of an agent on a store. */
  agentEnvironment(storeUrl: string): Record<string, string>;
  close(): Promise<void>;
}

/** How a site differs from that of `npm run bench`. */
export interface SiteOptions {
  readonly folder: string;
  readonly progress: (line: string) => void;
  /** A broker that runs already; else the site starts one. */
  readonly place?: SitePlace;
  /** Default: `dist/` of this working copy. */
  readonly program?: string;
}

/** Starts the site in its folder. */
export async function openSite({ folder, progress, place, program }: SiteOptions): Promise<Site> {
  const broker =
    place === undefined
      ? await startRabbitMQ({
          folder: join(folder, 'rabbitmq'),
          cacheFolder: join(WORKING_COPY, '.cache/rabbitmq'),
          onProgress: progress,
        })
      : undefined;
  const at = place ?? { ...(broker as LocalRabbitMQ), names: NAMES };
  const { names, user: username, password, amqpUrl, managementUrl } = at;
  const [port = 0] = await freePorts(1);
  const taskcluster: BenchProcess = await startProcess('taskcluster-process.ts', { BENCH_PORT: String(port) });
  const url = new URL(managementUrl);
  const management = createManagement({
    url: url.origin,
    username,
    password: new Secret(password),
    timeoutMs: 60_000,
    concurrency: CONCURRENCY,
  });
  // As an agent does at its start: requesters connect before it.
  await management.putVhost(names.requestVhost, 'requests');
  await management.putPermissions(names.requestVhost, username, { configure: '.*', write: '.*', read: '.*' });
  const taskclusterUrl = `http://127.0.0.1:${port}`;
  const secret = randomBytes(33).toString('base64');
  const vhost = decodeURIComponent(new URL(amqpUrl).pathname.slice(1)) || '/';
  const common = parse(readFileSync(SETTINGS, 'utf8')) as Partial<FileSettings>;
  let files = 0;
  const writeSettings = (settings: Partial<FileSettings>): string => {
    const file = join(folder, `settings-${(files += 1)}.yml`);
    writeFileSync(file, stringify({ ...common, ...names, ...settings }));
    return file;
  };
  const settingsFile = writeSettings({});
  const storeUrl = (name: string): string => `lmdb:${join(folder, name)}`;
  const isLeft = ({ name }: { readonly name: string }): boolean =>
    name.startsWith(`${names.usernamePrefix}${names.namespacePrefix}`) || name.startsWith(rawPrefix(names));
  return {
    ...at,
    vhost,
    management,
    requestAmqpUrl: requestUrl(amqpUrl, names.requestVhost),
    taskclusterUrl,
    folder,
    brokerCpuMs: broker === undefined ? () => Number.NaN : () => readCpuMs(recordedPid(broker.folder, 'node')),
    program: program ?? join(WORKING_COPY, PROGRAM),
    credentials: { clientId: 'operator', accessToken: 'for-development-only-operator-00000000001' },
    writeSettings,
    storeUrl,
    agentEnvironment: (store) => ({
      RABBITMQ_URL: amqpUrl,
      RABBITMQ_MANAGEMENT_URL: managementUrl,
      TASKCLUSTER_ROOT_URL: taskclusterUrl,
      STORE_URL: store,
      PULSE_AGENT_SECRET: secret,
      PULSE_AGENT_CLAIMANT_PASSWORD: 'bench-claimant',
      LOG_LEVEL: 'warn',
      PULSE_AGENT_CONFIG: settingsFile,
    }),
    async forgetStore() {
      for (const name of markerNames(names)) await management.deleteGlobalParameter(name);
      const left = (await management.listUsers()).filter(isLeft);
      await forEachConcurrently(left, CONCURRENCY, async ({ name }) => void (await management.deleteUser(name)));
    },
    async close() {
      management.close();
      await taskcluster.stop();
      await broker?.kill();
    },
  };
}
