import { readFileSync } from 'node:fs';
import { PACKAGE_ROOT } from './package-root.ts';

/** This package's version. */
export const VERSION: string = versionIn(readFileSync(new URL('package.json', PACKAGE_ROOT), 'utf8'));

function versionIn(packageJson: string): string {
  const { version } = JSON.parse(packageJson) as { version: string };
  return version;
}
