import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { WORKING_COPY } from '../dev/working-copy.ts';
import { parseSoakOptions, type SoakOptions } from './options.ts';
import { soak } from './soak.ts';

const options = readOptions();
const folder = join(WORKING_COPY, `.cache/soak-${process.pid}`);

const built = spawnSync('npm', ['run', '--silent', 'build'], { cwd: WORKING_COPY, stdio: 'inherit' });
if (built.status !== 0) process.exit(1);
mkdirSync(folder, { recursive: true, mode: 0o700 });

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());

const isGreen = await soak(options, folder, (line) => console.log(line), stopping.signal);
if (isGreen && !options.keep) rmSync(folder, { recursive: true, force: true });
else console.log(`The logs are in ${folder}.`);
process.exit(isGreen ? 0 : 1);

/** Ends the process after `--help`, or when an option is wrong, which is then said. */
function readOptions(): SoakOptions {
  try {
    return parseSoakOptions(process.argv.slice(2), () => randomBytes(4).readUInt32LE());
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode);
    throw error;
  }
}
