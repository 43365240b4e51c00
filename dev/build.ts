/**
 * Builds `dist/`: the program, the operators' page, and the client library with its types. Run it with `npm run build`. The previous `dist/`
 * stays until the build is complete.
 */
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundlePage } from './bundle-page.ts';
import { bundleProgram } from './bundle-program.ts';
import { runCommand } from './commands.ts';
import { WORKING_COPY } from './working-copy.ts';

// Beside dist/, because the source maps have relative paths.
const staging = join(WORKING_COPY, `.dist-${process.pid}`);
const target = join(WORKING_COPY, 'dist');
try {
  mkdirSync(staging, { recursive: true });
  const compiler = join(WORKING_COPY, 'node_modules/typescript/bin/tsc');
  const project = join(WORKING_COPY, 'tsconfig.client.json');
  await runCommand(process.execPath, [compiler, '-p', project, '--outDir', staging], { cwd: WORKING_COPY });
  await bundleProgram(staging);
  await bundlePage(staging);
  chmodSync(join(staging, 'cli/main.js'), 0o755);
  rmSync(target, { recursive: true, force: true });
  renameSync(staging, target);
} catch (error) {
  console.error(`The build failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(staging, { recursive: true, force: true });
}
