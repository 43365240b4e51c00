import { readFileSync } from 'node:fs';

/** This package's version. */
export const VERSION: string = versionIn(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

function versionIn(packageJson: string): string {
  const { version } = JSON.parse(packageJson) as { version: string };
  return version;
}
