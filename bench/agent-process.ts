import { fileURLToPath } from 'node:url';
import { startAgent } from '../src/agent/agent.ts';
import { loadConfig } from '../src/config/config.ts';
import { authenticateHawk } from '../dev/taskcluster/authenticate-hawk.ts';
import { readDirectory } from '../dev/taskcluster/clients-file.ts';
import { createExpandScopes } from '../dev/taskcluster/roles.ts';
import { createLog } from '../src/util/log.ts';
import type { TaskclusterAuth, AuthOutcome } from '../src/requests/taskcluster-auth.ts';
import { untilStopped } from './processes.ts';

/** Checks signatures in this process, like the Taskcluster stand-in but without HTTP. */
async function inProcess(): Promise<TaskclusterAuth> {
  const directory = await readDirectory(fileURLToPath(new URL('../config/dev-taskcluster.yml', import.meta.url)));
  const clients = new Map(directory.clients.map((client) => [client.clientId, client]));
  const expandScopes = createExpandScopes(directory.roles);
  return {
    authenticate: async (request) => {
      const reply = await authenticateHawk(request, { client: (id) => clients.get(id), expandScopes });
      return { hash: undefined, ...reply } as AuthOutcome;
    },
    probe: async () => undefined,
    close: () => undefined,
  };
}

const config = loadConfig();
const agent = await startAgent(config, {
  log: createLog(config),
  ...(process.env['BENCH_AUTH'] === 'in-process' ? { authenticator: await inProcess() } : {}),
});
await untilStopped();
await agent.stop();
