import { homedir } from 'node:os';
import { join } from 'node:path';

/** The environment of a `go` that keeps all that it downloads, builds and counts in `folder`. */
export function goEnvironment(folder: string): NodeJS.ProcessEnv {
  const config = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  return {
    ...process.env,
    CGO_ENABLED: '0',
    GOPATH: folder,
    GOMODCACHE: join(folder, 'mod'),
    GOCACHE: join(folder, 'build'),
    // Else the module cache is read-only and a plain removal of the working copy fails.
    GOFLAGS: '-modcacherw -buildvcs=false -trimpath',
    GOWORK: 'off',
    // Go keeps counters in its configuration folder; the settings that somebody made there still count.
    XDG_CONFIG_HOME: join(folder, 'config'),
    GOENV: process.env['GOENV'] ?? join(config, 'go/env'),
  };
}
