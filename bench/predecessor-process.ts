// taskcluster-pulse in a process of its own, with its tables in memory. BENCH_PREDECESSOR is its folder, with its
// dependencies. At the message `rotate` it rotates all namespaces and sends how long that took.
import { openSync, writeSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { join } from 'node:path';
import { untilStopped } from './processes.ts';

const {
  BENCH_PREDECESSOR: folder = '',
  BENCH_PORT: port = '',
  BENCH_LOG: logFile = '',
  BENCH_TASKCLUSTER_URL: rootUrl = '',
  BENCH_MANAGEMENT_URL: managementUrl = '',
  BENCH_USER: username = '',
  BENCH_PASSWORD: password = '',
} = process.env;

/** The parts of taskcluster-pulse that are used; it has no types. */
interface Predecessor {
  readonly load: (component: string, parts: object) => Promise<unknown>;
  readonly Namespace: { setup(options: object): { ensureTable(): Promise<void> } };
  readonly rotate: (parts: object) => Promise<number>;
}

interface PredecessorConfig {
  app: Record<string, unknown>;
  server: Record<string, unknown>;
  taskcluster: object;
  rabbit: object;
}

const log = openSync(logFile, 'a');
// It has a line for each request, which goes into a file like those of an agent.
console.log = (...texts: unknown[]) => void writeSync(log, `${texts.join(' ')}\n`);

const require = createRequire(join(folder, 'package.json'));
// Its native addon cannot be built for a present Node; the tables need these two functions.
const addon = require.resolve('buffertools');
require.cache[addon] = Object.assign(new Module(addon), {
  loaded: true,
  exports: {
    compare: (left: Buffer, right: Buffer) => Buffer.compare(left, right),
    indexOf: (buffer: Buffer, part: Buffer, from?: number) => buffer.indexOf(part, from),
  },
});

process.chdir(folder);
const { load, Namespace, rotate }: Predecessor = {
  load: require('./src/main.js'),
  Namespace: require('./src/data.js').Namespace,
  rotate: require('./src/maintenance.js').rotate,
};

const profile = { profile: 'test', process: 'test' };
const table = Namespace.setup({ tableName: 'Namespace', credentials: 'inMemory' });
await table.ensureTable();
const cfg = (await load('cfg', profile)) as PredecessorConfig;
Object.assign(cfg.app, { publishMetaData: false, namespacePrefix: 'taskcluster-', amqpVhost: '/', userTags: [] });
Object.assign(cfg.server, { port: Number(port), env: 'production', trustProxy: true });
cfg.taskcluster = { rootUrl, credentials: {} };
cfg.rabbit = { username, password, baseUrl: `${managementUrl}/api/` };
const parts = { ...profile, cfg, Namespace: table };
const rabbitManager = await load('rabbitManager', parts);
// Before it serves: its own framework reports to the parent that it is ready.
process.on('message', () => void rotateAll());
await load('server', parts);

async function rotateAll(): Promise<void> {
  const [startedMs, before] = [performance.now(), process.cpuUsage()];
  // All of them are due in a day.
  await rotate({ Namespace: table, now: new Date(Date.now() + 86_400_000), cfg, rabbitManager });
  const { user, system } = process.cpuUsage(before);
  process.send?.({ seconds: (performance.now() - startedMs) / 1000, cpuSeconds: (user + system) / 1e6 });
}

await untilStopped();
process.exit(0);
