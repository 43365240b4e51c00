import { homedir } from 'node:os';
import { join } from 'node:path';

const FLAGS = [
  // Else the module cache is read-only and a plain removal of the working copy fails.
  '-modcacherw',
  '-buildvcs=false',
  '-trimpath',
  // Most of what is built hardly runs: to make it fast, or fit for a debugger, takes a quarter of the building. Those that
  // the stand-in for MongoDB spends its time in are excepted.
  "'-gcflags=all=-N -l -dwarf=false'",
  '-gcflags=std=-dwarf=false',
  '-gcflags=modernc.org/...=-dwarf=false',
  '-gcflags=github.com/FerretDB/...=-dwarf=false',
];

/** The environment of a `go` that keeps all that it downloads, builds and counts in `folder`. */
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
    // Go keeps counters in its configuration folder; the settings that somebody made there still count.
    XDG_CONFIG_HOME: join(folder, 'config'),
    GOENV: process.env['GOENV'] ?? join(config, 'go/env'),
  };
}
