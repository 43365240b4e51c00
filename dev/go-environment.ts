import { homedir } from 'node:os';
import { join } from 'node:path';

const FLAGS = [
  // Otherwise the module cache is read-only, and `rm -r` of the working copy fails.
  '-modcacherw',
  '-buildvcs=false',
  '-trimpath',
  // Optimisation and debug information take a quarter of the build, and most packages hardly run. The last flags exempt
  // those in which FerretDB spends its time.
  "'-gcflags=all=-N -l -dwarf=false'",
  '-gcflags=std=-dwarf=false',
  '-gcflags=modernc.org/...=-dwarf=false',
  '-gcflags=github.com/FerretDB/...=-dwarf=false',
];

/** The environment in which `go` keeps its downloads, builds and telemetry counters in `folder`. */
export function goEnvironment(folder: string): NodeJS.ProcessEnv {
  const config = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  return {
    ...process.env,
    CGO_ENABLED: '0',
    GOPATH: folder,
    GOMODCACHE: join(folder, 'mod'),
    GOCACHE: join(folder, 'build'),
    GOFLAGS: FLAGS.join(' '),
    GOWORK: 'off',
    // Go writes telemetry counters into its configuration folder; the user's settings there still apply.
    XDG_CONFIG_HOME: join(folder, 'config'),
    GOENV: process.env['GOENV'] ?? join(config, 'go/env'),
  };
}
