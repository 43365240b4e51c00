import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { writeLicences } from './bundled-licences.ts';
import { WORKING_COPY } from './working-copy.ts';

/** The variable that replaces `import.meta.url` in the bundle. */
const MODULE = 'moduleUrl';

/** Not bundled: lmdb loads its native part from its own folder. */
const EXTERNAL = ['lmdb'];

/**
 * The first lines of every file. CommonJS packages load Node's modules with `require`. esbuild does not read these lines:
 * they use no name that a module may have at its top level, and uuid has a `URL`.
 */
const PREAMBLE = [
  "import { createRequire as makeRequire } from 'node:module';",
  "import { URL as PreambleUrl } from 'node:url';",
  // One folder deep, like src/cli/ below src/, so that the code finds package.json and config/.
  `const ${MODULE} = new PreambleUrl('../module.js', import.meta.url).href;`,
  `const require = makeRequire(${MODULE});`,
].join('');

/**
 * Bundles the command line with its packages into `cli/main.js` and a few chunks, so that a command loads only what it
 * needs; adds source maps and the packages' licences.
 *
 * Node keeps the source of every loaded file: without the bundle an agent needs 12 MB more and starts 50 % slower.
 *
 * @param folder gets `cli/`; package.json and `config/` must be beside it, as they are beside `dist/`
 * @param program the entry point, relative to the working copy
 * @throws Error when an import cannot be resolved or parsed, or a package is imported with `import()`
 */
export async function bundleProgram(folder: string, program = 'src/cli/main.ts'): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: WORKING_COPY,
    entryPoints: { 'cli/main': program },
    outdir: folder,
    chunkNames: 'cli/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: EXTERNAL,
    define: { 'import.meta.url': MODULE },
    banner: { js: PREAMBLE },
    minifyWhitespace: true,
    minifySyntax: true,
    // For an uncaught error Node prints the whole line that threw it.
    lineLimit: 200,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
  });
  refuseImportsOfPackages(metafile);
  writeLicences(join(folder, 'cli'), 'The program', metafile);
}

/** In a bundle, unlike in Node, `import()` of a CommonJS package has no named exports. */
function refuseImportsOfPackages({ outputs }: Metafile): void {
  for (const { entryPoint = '' } of Object.values(outputs)) {
    if (entryPoint.startsWith('node_modules/')) {
      throw new Error(`import() of ${entryPoint}: move its use into a file of src/ and import() that file.`);
    }
  }
}
