import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { writeLicences } from './bundled-licences.ts';
import { WORKING_COPY } from './working-copy.ts';

/** Where the sources of the page are, from the working copy. */
const SOURCES = 'src/page';

/** What the browser loads, beside the script and the style. */
const COPIED = ['index.html', 'icon.svg'];

/** The files of the page, as a browser asks for them. */
export const PAGE_FILES: readonly string[] = [...COPIED, 'page.js', 'page.css'];

/** The most bytes that the script and the style have together, gzipped: a phone loads them in a second. */
export const MAX_PAGE_BYTES = 60_000;

/**
 * Bundles the operators' page into one script and one style, with the licences of the packages in it.
 *
 * @param folder gets `page/`
 * @returns how many bytes the script and the style have together, gzipped
 * @throws Error when an import cannot be resolved or parsed, or the page is larger than {@link MAX_PAGE_BYTES}
 */
export async function bundlePage(folder: string): Promise<number> {
  const page = join(folder, 'page');
  const { metafile } = await build({
    absWorkingDir: WORKING_COPY,
    entryPoints: [
      { in: `${SOURCES}/main.tsx`, out: 'page' },
      { in: `${SOURCES}/page.css`, out: 'page' },
    ],
    outdir: page,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    // The browsers of May 2024 and later, which know light-dark().
    target: ['es2022', 'chrome123', 'firefox120', 'safari17.5'],
    tsconfig: `${SOURCES}/tsconfig.json`,
    minify: true,
    legalComments: 'none',
    banner: { js: '/* Licences of the packages in this script: licences.txt */' },
    metafile: true,
    logLevel: 'error',
  });
  mkdirSync(page, { recursive: true });
  for (const file of COPIED) copyFileSync(join(WORKING_COPY, SOURCES, file), join(page, file));
  writeLicences(page, 'The page', metafile);
  const bytes = ['page.js', 'page.css'].reduce((sum, file) => sum + gzipSync(readFileSync(join(page, file))).length, 0);
  if (bytes > MAX_PAGE_BYTES) throw new Error(`The page has ${bytes} bytes gzipped, more than ${MAX_PAGE_BYTES}.`);
  return bytes;
}
