import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { startOptions } from './built-agent.ts';
import { measureClaims } from './claims.ts';
import { type BenchResults, writeFigures } from './figures-document.ts';
import { fixedRows } from './goals.ts';
import { measureLifecycle } from './lifecycle.ts';
import { measureMemoryInUse } from './memory-in-use.ts';
import { measureNeighbours } from './neighbours.ts';
import { measureReconcile } from './reconcile.ts';
import { measureNodeOptions } from './node-options.ts';
import { measureProfile } from './profile.ts';
import { measurePage } from './page.ts';
import { measurePredecessor } from './predecessor.ts';
import { measureProxy } from './proxy.ts';
import { measureScale } from './scale.ts';
import { openSite, type Site } from './site.ts';
import { goals, type Row, toTable, verdict } from './table.ts';
import { measureWatching } from './watching.ts';

interface Measurement {
  readonly measure: (site: Site, progress: (line: string) => void) => Promise<readonly Row[] | Row | string>;
  /** Whether `npm run bench` makes it; together these take less than ten minutes. */
  readonly isDefault: boolean;
}

/** All measurements, in order; `npm run bench -- <names>` makes some of them. */
const MEASUREMENTS: Readonly<Record<string, Measurement>> = {
  neighbours: { measure: measureNeighbours, isDefault: true },
  claims: { measure: measureClaims, isDefault: true },
  lifecycle: { measure: measureLifecycle, isDefault: true },
  reconcile: { measure: measureReconcile, isDefault: true },
  scale: { measure: measureScale, isDefault: false },
  'memory-in-use': { measure: measureMemoryInUse, isDefault: false },
  page: { measure: measurePage, isDefault: false },
  predecessor: { measure: measurePredecessor, isDefault: false },
  options: { measure: measureNodeOptions, isDefault: false },
  profile: { measure: measureProfile, isDefault: false },
  proxy: { measure: measureProxy, isDefault: false },
  watching: { measure: measureWatching, isDefault: false },
};

const RESULTS_FILE = join(WORKING_COPY, '.cache/bench.json');

const command = new Command('npm run bench --')
  .description('Measures the agent on this machine.')
  .addArgument(new Argument('[measurement...]', 'those by default when absent').choices(Object.keys(MEASUREMENTS)))
  .option('--document', 'write the figures of the latest run into docs/performance.md', false)
  .parse();
const wanted = command.args;
if (command.opts<{ document: boolean }>().document) {
  writeFigures(RESULTS_FILE);
  process.exit(0);
}
const startedMs = performance.now();
const progress = (line: string): void => {
  console.error(`… ${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${line}`);
};
const folder = join(WORKING_COPY, `.cache/bench-${process.pid}`);

if (spawnSync('npm', ['run', '--silent', 'build'], { cwd: WORKING_COPY, stdio: 'inherit' }).status !== 0)
  process.exit(1);
mkdirSync(folder, { recursive: true });
const site = await openSite({ folder, progress });
try {
  const rows: Row[] = [];
  for (const [name, { measure, isDefault }] of Object.entries(MEASUREMENTS)) {
    if (wanted.length > 0 ? !wanted.includes(name) : !isDefault) continue;
    progress(name);
    const result = await measure(site, progress);
    if (typeof result === 'string') console.log(`${result}\n`);
    else rows.push(...[result].flat());
    await site.forgetStore();
  }
  const conditions = {
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    node: `Node ${process.version} ${startOptions().join(' ')}`,
    rabbitmq: `RabbitMQ ${(await site.management.overview()).rabbitmqVersion}`,
    agent: `agent ${commit()}`,
  };
  rows.push(...fixedRows(rows));
  console.log(`${Object.values(conditions).join(', ')}\n\n${toTable(rows)}\n\n${goals(rows)}`);
  const minutes = (performance.now() - startedMs) / 60_000;
  const results: BenchResults = {
    ...conditions,
    measuredAt: new Date().toISOString(),
    minutes,
    rows: rows.map((row) => ({ ...row, verdict: verdict(row) })),
  };
  writeFileSync(RESULTS_FILE, `${JSON.stringify(results, null, 2)}\n`);
  console.log(`\nAs JSON: .cache/bench.json. It took ${minutes.toFixed(1)} minutes.`);
} finally {
  await site.close();
  rmSync(folder, { recursive: true, force: true });
}

/** The commit of the measured sources, marked when they have been changed since. */
function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: WORKING_COPY, encoding: 'utf8' }).trim();
  } catch {
    return 'without a commit';
  }
}
