import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { startTaskcluster } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    clients: { type: 'string', default: 'config/dev-taskcluster.yml' },
  },
});

try {
  const taskcluster = await startTaskcluster({ port: Number(values.port), clientsFile: values.clients });
  console.log(`Taskcluster stand-in with the clients of ${values.clients}. Ctrl+C stops it. Use it with:`);
  console.log(`TASKCLUSTER_ROOT_URL=${taskcluster.rootUrl}`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await taskcluster.close();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
