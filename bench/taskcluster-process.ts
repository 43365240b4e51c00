import { fileURLToPath } from 'node:url';
import { startTaskcluster } from '../dev/taskcluster/server.ts';
import { untilStopped } from './processes.ts';

const taskcluster = await startTaskcluster({
  port: Number(process.env['BENCH_PORT']),
  clientsFile: fileURLToPath(new URL('../config/dev-taskcluster.yml', import.meta.url)),
});
await untilStopped();
await taskcluster.close();
