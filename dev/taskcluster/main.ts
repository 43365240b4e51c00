import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { WORKING_COPY } from '../working-copy.ts';
import { type LocalTaskcluster, startTaskcluster } from './server.ts';

const CLIENTS_FILE = 'config/dev-taskcluster.yml';
/** The same at each start, so that the environment of an agent stays valid. */
const DEFAULT_PORT = 8090;
/** The client of an agent in {@link CLIENTS_FILE}: with its scopes `pulse-agent verify` does all of its steps. */
const AGENT_CLIENT = 'pulse-agent';

const HELP = `npm run taskcluster -- [options]

Starts a stand-in for Taskcluster's auth and notify services on 127.0.0.1, until Ctrl-C or SIGTERM. It prints the
environment of an agent for it, and keeps it in a file while it runs.

  --port <port>      the port to listen on; 0: any free one (default: ${DEFAULT_PORT})
  --clients <file>   its clients, roles and mail rules, in YAML (default: ${CLIENTS_FILE})
  --client <id>      the client to print the environment of (default: ${AGENT_CLIENT})
  --env <file>       where to keep the environment (default: .cache/taskcluster.env)
  --help             this text

Examples:
  npm run taskcluster
  npm run taskcluster -- --port 0 --client team-a/service`;

/** The arguments are wrong. */
class UsageError extends Error {}

function readArguments() {
  const options = {
    port: { type: 'string', default: String(DEFAULT_PORT) },
    clients: { type: 'string', default: CLIENTS_FILE },
    client: { type: 'string', default: AGENT_CLIENT },
    env: { type: 'string', default: join(WORKING_COPY, '.cache/taskcluster.env') },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ options });
    const port = Number(values.port);
    if (!/^\d+$/.test(values.port) || port > 65_535) throw new Error(`--port takes 0 to 65535, not ${values.port}.`);
    return { ...values, port };
  } catch (error) {
    throw new UsageError(`${messageOf(error)} See npm run taskcluster -- --help.`);
  }
}

async function start(port: number, clientsFile: string): Promise<LocalTaskcluster> {
  try {
    return await startTaskcluster({ port, clientsFile });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    throw new Error(`Port ${port} is in use: give another one with --port, or 0 for any free one.`, { cause: error });
  }
}

/** Shell that sets the variables of the stand-in and of one of its clients. */
function environmentOf(taskcluster: LocalTaskcluster, client: string): string {
  const { clientId, accessToken } = taskcluster.credentials(client);
  const variables = {
    TASKCLUSTER_ROOT_URL: taskcluster.rootUrl,
    TASKCLUSTER_CLIENT_ID: clientId,
    TASKCLUSTER_ACCESS_TOKEN: accessToken,
  };
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${value}\n`)
    .join('');
}

/** Until a signal. Ctrl-C arrives twice, from the terminal and from bootstrap.js, so the listeners stay. */
function whenInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
}

async function run(): Promise<void> {
  const { port, clients, client, env: file, help } = readArguments();
  if (help) {
    console.log(HELP);
    return;
  }
  const interrupted = whenInterrupted();
  const taskcluster = await start(port, clients);
  try {
    const environment = environmentOf(taskcluster, client);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, environment, { mode: 0o600 });
    try {
      console.log(`The stand-in for Taskcluster runs until Ctrl-C, with the clients of ${clients}.`);
      console.log(`The environment of ${client}; load it with  . ${relative(process.cwd(), file) || file}\n`);
      console.log(environment);
      await interrupted;
    } finally {
      // Another one that was started since has its own environment there.
      if (existsSync(file) && readFileSync(file, 'utf8') === environment) rmSync(file);
    }
  } finally {
    await taskcluster.close();
  }
  console.log('The stand-in has stopped.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

try {
  await run();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
