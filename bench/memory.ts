import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { startBuiltAgent } from './built-agent.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

/** Measures the memory of an idle agent as in production. */
export async function measureMemory(site: Site): Promise<Row> {
  const agent = await startBuiltAgent(site, 'idle-store');
  const { ownMb, storeMb } = await agent.resident();
  const megabytes = ownMb + storeMb;
  await agent.stop();
  const bare = await bareNodeMb();
  return {
    what: 'memory of an idle agent',
    measured: `${megabytes.toFixed(0)} MB resident`,
    limit: `90 MB (node alone: ${bare.toFixed(0)} MB)`,
    ratio: megabytes / 90,
    atMost: 1,
  };
}

async function bareNodeMb(): Promise<number> {
  const node = spawn(process.execPath, ['-e', 'console.log(process.memoryUsage.rss())'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: node.stdout }), 'line')) as [string];
  return Number(line) / 1e6;
}
