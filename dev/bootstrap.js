// Runs a TypeScript file of this working copy and installs missing dependencies first. It is plain JavaScript in old syntax
// without dependencies, because it runs before they are installed and reports a Node that is too old.
//
//   node dev/bootstrap.js <file.ts> [arguments]
//   node dev/bootstrap.js --install-only
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = [20, 19];

function refuse(sentence) {
  console.error(sentence);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  refuse(
    `Pulse Agent needs Node ${OLDEST_NODE.join('.')} or newer, and this is ${process.versions.node}: install a newer one.`,
  );
}

/** Whether every package of the lock file is installed in its locked version. */
function dependenciesAreInstalled() {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const present = JSON.parse(readFileSync(installed, 'utf8')).packages;
    return Object.keys(wanted).every((path) => {
      // The root is not listed, and optional packages may be for other platforms.
      if (path === '' || wanted[path].optional) return true;
      return present[path] !== undefined && present[path].version === wanted[path].version;
    });
  } catch {
    return false;
  }
}

function installDependencies() {
  if (dependenciesAreInstalled()) return;
  console.log('Installing the dependencies with npm ci, once; this takes about half a minute.');
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (npm.error) refuse(`npm could not be started (${npm.error.message}): install npm and try again.`);
  if (npm.status !== 0) refuse('npm ci failed: see above, then try again.');
}

function run(file, args) {
  // Temporary files, including the TypeScript loader's, stay in the working copy.
  const temporary = join(root, '.cache/tmp');
  mkdirSync(temporary, { recursive: true });
  const child = spawn(process.execPath, ['--import', 'tsx', resolve(root, file), ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TMPDIR: temporary },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // Ctrl-C in a terminal reaches the child too; a signal to this process alone does not.
    process.on(signal, () => child.kill(signal));
  }
  child.once('error', (error) => refuse(`Node could not be started: ${error.message}`));
  child.once('exit', (code, signal) => {
    if (signal === null) process.exit(code === null ? 1 : code);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

checkNode();
const [file, ...args] = process.argv.slice(2);
if (file === undefined) refuse('Say which file to run: node dev/bootstrap.js <file.ts> [arguments]');
installDependencies();
if (file !== '--install-only') run(file, args);
