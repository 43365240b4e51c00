import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtProgram } from './built-agent.ts';
import { makeFolder } from './folders.ts';

/** A folder for PATH whose npx runs the command line, built from the current sources; `dist/` may be of earlier ones. */
export async function folderWithNpx(): Promise<string> {
  const folder = makeFolder('bin');
  const npx = join(folder, 'npx');
  writeFileSync(npx, `#!/bin/sh\nshift\nexec '${process.execPath}' '${await builtProgram()}' "$@"\n`);
  chmodSync(npx, 0o755);
  return folder;
}
