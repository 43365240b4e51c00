import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile, stop } from 'esbuild';
import { WORKING_COPY } from './working-copy.ts';

/** What a bundle calls the address of the module that it is in. */
const MODULE = 'moduleUrl';

/** Packages that stay as they are: this one finds its native part beside itself. */
const EXTERNAL = ['lmdb'];

/** What stands at the beginning of every file. Packages in CommonJS ask for Node's modules with `require`. */
const PREAMBLE = [
  "import { createRequire as makeRequire } from 'node:module';",
  // As deep as the sources are, so that they find what they read of the package.
  `const ${MODULE} = new URL('../module.js', import.meta.url).href;`,
  `const require = makeRequire(${MODULE});`,
].join('');

const LICENCES = 'licences.txt';

/**
 * Makes the command line with its packages, as few files of which a command loads what it needs: `cli/main.js`, maps back
 * to the sources, and the licences of what is in it.
 *
 * Node keeps the source of all that it loads. From the files of the packages an agent is 13 MB larger, and starts in
 * almost twice the time.
 *
 * @param folder where `cli/` is made; package.json and `config/` have to be beside it, as they are beside `dist/`
 * @throws Error when something cannot be resolved or parsed, or a package is imported with `import()`
 */
export async function bundleProgram(folder: string): Promise<void> {
  try {
    const { metafile } = await build({
      absWorkingDir: WORKING_COPY,
      entryPoints: { 'cli/main': 'src/cli/main.ts' },
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
      minify: true,
      sourcemap: 'linked',
      sourcesContent: false,
      legalComments: 'none',
      metafile: true,
      logLevel: 'error',
    });
    refuseImportsOfPackages(metafile);
    writeFileSync(join(folder, 'cli', LICENCES), licencesOf(metafile));
  } finally {
    // Its process would go on.
    await stop();
  }
}

/** What `import()` gives of a package in CommonJS has no names in a bundle, other than in Node. */
function refuseImportsOfPackages({ outputs }: Metafile): void {
  for (const { entryPoint = '' } of Object.values(outputs)) {
    if (entryPoint.startsWith('node_modules/')) {
      throw new Error(`import() of ${entryPoint}: import a module instead that imports from it.`);
    }
  }
}

/** What packages that are in a bundle ask to be passed on with them. */
function licencesOf({ inputs }: Metafile): string {
  const folders = new Set<string>();
  for (const file of Object.keys(inputs)) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
    if (folder !== undefined) folders.add(join(WORKING_COPY, folder));
  }
  const texts = [...folders].toSorted().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      readonly name: string;
      readonly version: string;
      readonly license?: string;
    };
    const files = readdirSync(folder).filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(file));
    const contents = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
    return [`${name} ${version} (${license ?? 'see below'})`, ...contents].join('\n\n');
  });
  return `The program contains these packages.\n\n${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
