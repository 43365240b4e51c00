import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { WORKING_COPY } from '../src/dev/local-installation.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

/** How long the agent is left alone before it counts as idle. */
const IDLE_MS = 10_000;

/** The options that `npm start` and the command's first line give to node. */
export const START_OPTIONS = ['--max-semi-space-size=2', '--optimize-for-size'];

/** The resident memory of an agent as it is run in production, compiled and idle. */
export async function measureMemory(site: Site): Promise<Row> {
  const agent = spawn(process.execPath, [...START_OPTIONS, join(WORKING_COPY, 'dist/cli/main.js'), 'serve'], {
    env: { ...process.env, ...site.agentEnvironment(`lmdb:${join(site.folder, 'idle-store')}`), LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(agent, 'exit');
  for await (const line of createInterface({ input: agent.stdout })) {
    if (line.includes('serves requests')) break;
  }
  await sleep(IDLE_MS);
  const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
  const megabytes = (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6;
  agent.kill('SIGTERM');
  await exited;
  const bare = await bareNode();
  return {
    what: 'memory of an idle agent',
    measured: `${megabytes.toFixed(0)} MB resident`,
    limit: `90 MB (node alone: ${bare.toFixed(0)} MB)`,
    ratio: megabytes / 90,
    atMost: 1,
  };
}

async function bareNode(): Promise<number> {
  const node = spawn(process.execPath, ['-e', 'console.log(process.memoryUsage.rss())'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: node.stdout }), 'line')) as [string];
  return Number(line) / 1e6;
}
