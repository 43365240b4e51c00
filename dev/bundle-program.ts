import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
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

const LICENCES = 'licences.txt';
const RULE = `\n\n${'-'.repeat(80)}\n\n`;
/** The licence section of a README, up to the next heading. */
const LICENCE_SECTION = /^(?:#+ *\(?(?:the )?(?:\w+ )?licen[cs]e\b|licen[cs]e\n[-=]+$)(?:(?!\n#)[^])*/im;

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
  writeFileSync(join(folder, 'cli', LICENCES), `${licencesOf(metafile)}\n`);
}

/** In a bundle, unlike in Node, `import()` of a CommonJS package has no named exports. */
function refuseImportsOfPackages({ outputs }: Metafile): void {
  for (const { entryPoint = '' } of Object.values(outputs)) {
    if (entryPoint.startsWith('node_modules/')) {
      throw new Error(`import() of ${entryPoint}: move its use into a file of src/ and import() that file.`);
    }
  }
}

/** The licences of the packages in a bundle, and the addresses of their sources. */
function licencesOf({ inputs }: Metafile): string {
  const folders = new Set<string>();
  for (const file of Object.keys(inputs)) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
    if (folder !== undefined) folders.add(join(WORKING_COPY, folder));
  }
  return ['The program contains these packages.', ...[...folders].toSorted().map(licenceOf)].join(RULE);
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly author?: string | { readonly name: string };
  readonly repository?: string | { readonly url: string };
}

function licenceOf(folder: string): string {
  const text = readFileSync(join(folder, 'package.json'), 'utf8');
  const { name, version, license = 'see below', author, repository } = JSON.parse(text) as Package;
  const address = typeof repository === 'object' ? repository.url : repository;
  const heading = [`${name} ${version} (${license})`, ...(address === undefined ? [] : [`Sources: ${address}`])];
  const files = readdirSync(folder);
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8').trim();
  const notices = files.filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(file)).map(read);
  if (notices.length === 0) {
    const sections = files.filter((file) => /^readme/i.test(file)).map((file) => LICENCE_SECTION.exec(read(file))?.[0]);
    notices.push(...sections.filter((section) => section !== undefined));
  }
  const by = typeof author === 'object' ? author.name : author;
  if (notices.length === 0 && by !== undefined) notices.push(`By ${by}.`);
  return [heading.join('\n'), ...notices].join('\n\n');
}
