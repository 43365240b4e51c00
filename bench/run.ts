import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { WORKING_COPY } from '../src/dev/local-installation.ts';
import { measureClaims } from './claims.ts';
import { measureGrowth } from './growth.ts';
import { measureMemory } from './memory.ts';
import { measureReconcile } from './reconcile.ts';
import { openSite } from './site.ts';
import { toTable, verdict } from './table.ts';
import { measureWatching } from './watching.ts';

const say = (line: string): void => console.error(`… ${line}`);
const folder = join(WORKING_COPY, `.cache/bench-${process.pid}`);

// The memory of the agent is that of the compiled one.
if (spawnSync('npm', ['run', '--silent', 'build'], { cwd: WORKING_COPY, stdio: 'inherit' }).status !== 0)
  process.exit(1);
mkdirSync(folder, { recursive: true });
const site = await openSite(folder, say);
try {
  say('memory of an idle agent');
  const rows = [await measureMemory(site)];
  await site.forgetStore();
  rows.push(...(await measureClaims(site, say)));
  await site.forgetStore();
  rows.push(...(await measureGrowth(site, say)));
  await site.forgetStore();
  rows.push(await measureReconcile(site, say));
  await site.forgetStore();
  rows.push(...(await measureWatching(site, say)));
  const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`;
  console.log(`${machine}\n\n${toTable(rows)}`);
  const results = {
    machine,
    measuredAt: new Date().toISOString(),
    rows: rows.map((row) => ({ ...row, verdict: verdict(row) })),
  };
  writeFileSync(join(WORKING_COPY, '.cache/bench.json'), `${JSON.stringify(results, null, 2)}\n`);
  console.log('\nThe same as JSON: .cache/bench.json');
} finally {
  await site.close();
  rmSync(folder, { recursive: true, force: true });
}
