import { findExecutable } from './processes.ts';

/** How a program is got from Debian's packages. */
export interface DebianProgram<Installation> {
  /** For messages. */
  readonly name: string;
  /** It, as far as the system has it. */
  inSystem(): Installation | undefined;
  /** It, as far as `folder` holds its unpacked packages. */
  unpackedIn(folder: string): Installation | undefined;
  /** Installs it into the system, as root. */
  install(options: AptOptions): Promise<void>;
  /** Unpacks it into `folder`. */
  unpack(folder: string, options: AptOptions): Promise<void>;
}

/** What each use of apt takes. */
export interface AptOptions {
  readonly onProgress: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** What decides how to get a program. */
export interface InstallFindings {
  /** The program is installed in the system. */
  readonly system: boolean;
  /** The cache folder holds an unpacked one. */
  readonly unpacked: boolean;
  /** This process runs as root. */
  readonly root: boolean;
  /** The machine has `apt-get` and `dpkg-deb`. */
  readonly apt: boolean;
}

/** A way to get a program. */
export type InstallStep = 'use-system' | 'use-unpacked' | 'apt-install' | 'apt-unpack';

/** Decides which ways to try, in this order; none: a person has to install it. An existing one takes precedence. */
export function decideInstallSteps(found: InstallFindings): InstallStep[] {
  if (found.system) return ['use-system'];
  if (found.unpacked) return ['use-unpacked'];
  if (!found.apt) return [];
  // Root may be unable to install, for example where /usr is read-only; unpacking needs no privileges.
  return found.root ? ['apt-install', 'apt-unpack'] : ['apt-unpack'];
}

/** Whether this machine has what gets Debian's packages. */
export function hasApt(): boolean {
  return findExecutable('apt-get') !== undefined && findExecutable('dpkg-deb') !== undefined;
}

/**
 * The program as it is found, or installed from Debian's packages: as root into the system, as an unprivileged user by
 * unpacking the downloaded packages into `folder`.
 *
 * @throws Error with the failure of the last way as its cause when there is none
 */
export async function ensureDebianProgram<Installation>(
  program: DebianProgram<Installation>,
  folder: string,
  { onProgress = () => undefined, signal }: Partial<AptOptions>,
): Promise<Installation> {
  const options = { onProgress, ...(signal === undefined ? {} : { signal }) };
  const steps = decideInstallSteps({
    system: program.inSystem() !== undefined,
    unpacked: program.unpackedIn(folder) !== undefined,
    root: process.getuid?.() === 0,
    apt: hasApt(),
  });
  let cause: unknown;
  for (const step of steps) {
    try {
      if (step === 'apt-install') await program.install(options);
      if (step === 'apt-unpack') await program.unpack(folder, options);
      const unpacked = step === 'apt-unpack' || step === 'use-unpacked';
      const found = unpacked ? program.unpackedIn(folder) : program.inSystem();
      if (found !== undefined) return found;
      cause = new Error(`${step} did not provide ${program.name}.`);
    } catch (error) {
      signal?.throwIfAborted();
      cause = error;
    }
    onProgress(`${step} failed: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  throw new Error(`There is no ${program.name}, and it cannot be installed from here.`, { cause });
}
