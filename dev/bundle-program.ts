import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { WORKING_COPY } from './working-copy.ts';

/** What a bundle calls the address of the module that it is in. */
const MODULE = 'moduleUrl';

/** They stay as they are. lmdb finds its native part beside itself. */
const EXTERNAL = ['lmdb'];

/**
 * What stands at the beginning of every file. Packages in CommonJS ask for Node's modules with `require`; `createRequire`
 * has another name, as modules in the bundle import it too.
 */
const PREAMBLE = [
  "import { createRequire as makeRequire } from 'node:module';",
  // As deep as the sources are, so that they find what they read of the package.
  `const ${MODULE} = new URL('../module.js', import.meta.url).href;`,
  `const require = makeRequire(${MODULE});`,
].join('');

const LICENCES = 'licences.txt';
const RULE = `\n\n${'-'.repeat(80)}\n\n`;
/** In a README, to the next heading. */
const LICENCE_SECTION = /^(?:#+ *\(?(?:the )?(?:\w+ )?licen[cs]e\b|licen[cs]e\n[-=]+$)(?:(?!\n#)[^])*/im;

/**
 * Makes the command line with its packages, as few files of which a command loads what it needs: `cli/main.js`, maps back
 * to the sources, and the licences of what is in it.
 *
 * Node keeps the source of all that it loads. From the files of the packages an agent is 12 MB larger, and takes
 * more than half as long again to start.
 *
 * @param folder where `cli/` is made; package.json and `config/` have to be beside it, as they are beside `dist/`
 * @param program the file that is run, from the working copy on
 * @throws Error when something cannot be resolved or parsed, or a package is imported with `import()`
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
    // Node shows the whole line that throws what nobody catches.
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

/** What `import()` gives of a package in CommonJS has no names in a bundle, unlike in Node. */
function refuseImportsOfPackages({ outputs }: Metafile): void {
  for (const { entryPoint = '' } of Object.values(outputs)) {
    if (entryPoint.startsWith('node_modules/')) {
      throw new Error(`import() of ${entryPoint}: put what uses it into a file of src/, and import() that.`);
    }
  }
}

/** What the packages in a bundle ask to be passed on with them, and where their sources are. */
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
