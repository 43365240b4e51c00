import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { measureClaims } from './claims.ts';
import { measureExpiry } from './expire.ts';
import { measureGrowth } from './growth.ts';
import { measureMemory } from './memory.ts';
import { measureMemoryInUse } from './memory-in-use.ts';
import { measureReconcile } from './reconcile.ts';
import { measureRotation } from './rotate.ts';
import { openSite, type Site } from './site.ts';
import { type Row, toTable, verdict } from './table.ts';
import { measureWatching } from './watching.ts';

type Measure = (site: Site, progress: (line: string) => void) => Promise<Row | readonly Row[]>;

/** All measurements, in order; `npm run bench -- <names>` runs some of them. */
const MEASURES: Readonly<Record<string, Measure>> = {
  memory: measureMemory,
  claims: measureClaims,
  growth: measureGrowth,
  reconcile: measureReconcile,
  rotate: measureRotation,
  expire: measureExpiry,
  'memory-in-use': measureMemoryInUse,
  watching: measureWatching,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in MEASURES));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. Choose from: ${Object.keys(MEASURES).join(', ')}.`);
  process.exit(2);
}
const progress = (line: string): void => console.error(`… ${line}`);
const folder = join(WORKING_COPY, `.cache/bench-${process.pid}`);

// Memory is measured with the built agent.
if (spawnSync('npm', ['run', '--silent', 'build'], { cwd: WORKING_COPY, stdio: 'inherit' }).status !== 0)
  process.exit(1);
mkdirSync(folder, { recursive: true });
const site = await openSite(folder, progress);
try {
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(MEASURES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    progress(name);
    rows.push(...[await measure(site, progress)].flat());
    await site.forgetStore();
  }
  const machine = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`;
  console.log(`${machine}\n\n${toTable(rows)}`);
  const results = {
    machine,
    measuredAt: new Date().toISOString(),
    rows: rows.map((row) => ({ ...row, verdict: verdict(row) })),
  };
  writeFileSync(join(WORKING_COPY, '.cache/bench.json'), `${JSON.stringify(results, null, 2)}\n`);
  console.log('\nAs JSON: .cache/bench.json');
} finally {
  await site.close();
  rmSync(folder, { recursive: true, force: true });
}
