import { chmodSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './commands.ts';
import type { AptOptions } from './debian-program.ts';
import { findExecutable } from './processes.ts';

const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_KEPT = '/usr/sbin/policy-rc.d.kept-by-pulse-agent';

/** The systemd units that the packages of RabbitMQ and Erlang enable; not every release has all of them. */
const OUR_UNITS = ['rabbitmq-server.service', 'epmd.service', 'epmd.socket'];

/** The exit code by which a policy forbids `invoke-rc.d` to start a service. */
const FORBIDDEN_BY_POLICY = 101;

/**
 * Installs Debian's rabbitmq-server as root, for its programs only: its service is started neither now nor at the next
 * boot.
 *
 * @throws Error with apt-get's last lines when it fails
 */
export async function installWithApt(options: AptOptions): Promise<void> {
  const hadErlang = findExecutable('epmd') !== undefined;
  options.onProgress('Installing rabbitmq-server with apt-get, once; this takes about a minute.');
  const restore = await forbidServices();
  try {
    await installPackages(['rabbitmq-server'], options);
  } finally {
    restore();
  }
  await disableServices(hadErlang ? OUR_UNITS.slice(0, 1) : OUR_UNITS, options.onProgress);
}

/**
 * Installs Debian's packages as root.
 *
 * @throws Error with apt-get's last lines when it fails
 */
export async function installPackages(names: readonly string[], { onProgress, signal }: AptOptions): Promise<void> {
  const run = async (args: readonly string[]): Promise<void> => {
    await runCommand('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
      onLine: (line) => {
        if (/^(?:Get:|Fetched|Setting up|Need to get)/.test(line)) onProgress(`  ${line}`);
      },
      ...(signal === undefined ? {} : { signal }),
    });
  };
  const install = ['install', '--yes', '--no-install-recommends', ...names];
  try {
    await run(install);
  } catch {
    signal?.throwIfAborted();
    onProgress("Updating apt's package lists and trying again.");
    await run(['update']);
    await run(install);
  }
}

/** Disables the services, which the packages enable for the next boot. */
async function disableServices(units: readonly string[], onProgress: (line: string) => void): Promise<void> {
  const known = units.filter(
    (unit) => existsSync(join('/usr/lib/systemd/system', unit)) || existsSync(join('/lib/systemd/system', unit)),
  );
  try {
    if (findExecutable('systemctl') !== undefined) await runCommand('systemctl', ['--no-reload', 'disable', ...known]);
    if (findExecutable('update-rc.d') !== undefined) await runCommand('update-rc.d', ['rabbitmq-server', 'disable']);
  } catch (error) {
    onProgress(`Note: the service rabbitmq-server may start at the next boot (${String(error)}).`);
  }
}

/** Installs a policy under which packages start no service; returns a function that restores the previous state. */
async function forbidServices(): Promise<() => void> {
  if (existsSync(POLICY)) {
    const code = await runCommand(POLICY, ['rabbitmq-server', 'start']).then(
      () => 0,
      (error: unknown) => (String(error).includes(`exited with ${FORBIDDEN_BY_POLICY}`) ? FORBIDDEN_BY_POLICY : 1),
    );
    if (code === FORBIDDEN_BY_POLICY) return () => undefined;
    renameSync(POLICY, POLICY_KEPT);
  }
  writeFileSync(POLICY, `#!/bin/sh\nexit ${FORBIDDEN_BY_POLICY}\n`);
  chmodSync(POLICY, 0o755);
  const restore = (): void => {
    process.off('exit', restore);
    if (existsSync(POLICY_KEPT)) renameSync(POLICY_KEPT, POLICY);
    else rmSync(POLICY, { force: true });
  };
  process.once('exit', restore);
  return restore;
}
