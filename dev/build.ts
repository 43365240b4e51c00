/**
 * Makes `dist/`: the program, and the client library with its types. Run it with `npm run build`. What was there stays
 * until all of it is made.
 */
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundleProgram } from './bundle-program.ts';
import { runCommand } from './commands.ts';
import { WORKING_COPY } from './working-copy.ts';

// Beside its place: the maps in it lead from there to the sources.
const made = join(WORKING_COPY, `.dist-${process.pid}`);
const target = join(WORKING_COPY, 'dist');
try {
  mkdirSync(made, { recursive: true });
  const compiler = join(WORKING_COPY, 'node_modules/typescript/bin/tsc');
  const project = join(WORKING_COPY, 'tsconfig.client.json');
  await runCommand(process.execPath, [compiler, '-p', project, '--outDir', made], { cwd: WORKING_COPY });
  await bundleProgram(made);
  chmodSync(join(made, 'cli/main.js'), 0o755);
  rmSync(target, { recursive: true, force: true });
  renameSync(made, target);
} catch (error) {
  console.error(`The build failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(made, { recursive: true, force: true });
}
