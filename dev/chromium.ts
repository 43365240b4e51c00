import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { installPackages } from './apt-install.ts';
import { missingPackages, unpackPackages } from './apt-unpack.ts';
import { type AptOptions, type DebianProgram, ensureDebianProgram } from './debian-program.ts';
import { findExecutable } from './processes.ts';

/** A Chromium on this machine that runs without a screen. */
export interface ChromiumInstallation {
  readonly program: string;
  /** Variables that it needs. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What it is called, the smallest first: the shell has no user interface. */
const ON_PATH = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** It needs a font to show anything. This one has the scripts that are written from the right, too. */
const PACKAGES = ['chromium-headless-shell', 'fonts-dejavu-core'];

/**
 * Chromium as it is found on PATH, or installed from Debian's packages: as root into the system, as an unprivileged user
 * by unpacking the downloaded packages into `cacheFolder`.
 *
 * @throws Error with the failure of the last way as its cause when there is none
 */
export async function ensureChromium(
  options: { readonly cacheFolder: string } & Partial<AptOptions>,
): Promise<ChromiumInstallation> {
  return await ensureDebianProgram(CHROMIUM, resolve(options.cacheFolder), options);
}

const CHROMIUM: DebianProgram<ChromiumInstallation> = {
  name: 'chromium on PATH',
  inSystem() {
    for (const name of ON_PATH) {
      const program = findExecutable(name);
      if (program !== undefined) return { program, environment: {} };
    }
    return undefined;
  },
  unpackedIn(folder) {
    const program = join(folder, 'usr/lib/chromium/chromium-headless-shell');
    if (!existsSync(program)) return undefined;
    const fonts = join(folder, 'etc/fonts');
    return {
      program,
      environment: {
        LD_LIBRARY_PATH: [join(folder, 'lib-links'), process.env['LD_LIBRARY_PATH'] ?? ''].filter(Boolean).join(':'),
        // Where the system has no fonts of its own.
        ...(existsSync('/etc/fonts/fonts.conf') || !existsSync(fonts) ? {} : { FONTCONFIG_PATH: fonts }),
        XDG_DATA_DIRS: [join(folder, 'usr/share'), process.env['XDG_DATA_DIRS'] ?? '/usr/local/share:/usr/share'].join(
          ':',
        ),
      },
    };
  },
  async install(options) {
    options.onProgress('Installing chromium-headless-shell with apt-get, once; this takes half a minute.');
    await installPackages(PACKAGES, options);
  },
  async unpack(folder, options) {
    options.onProgress("Downloading Debian's package of Chromium, once; about 100 MB.");
    await unpackPackages({
      folder,
      ...options,
      // Chromium loads all its parts from one folder, also those that are installed.
      list: async (apt) => ['chromium-headless-shell', 'chromium-common', ...(await missingPackages(apt, PACKAGES))],
    });
  },
};
