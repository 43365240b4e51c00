import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runCommand } from './commands.ts';
import { WORKING_COPY } from './working-copy.ts';

// Packs pulse-agent-client: the client library alone, with only the dependencies that it needs.
//
//   npm run pack:client [-- <folder>]      the folder for the tarball; default .cache/packages

interface Package {
  readonly version: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const IMPORT = /^(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]/gm;

const target = resolve(process.argv[2] ?? join(WORKING_COPY, '.cache/packages'));
const staging = join(WORKING_COPY, `.cache/pack-client-${process.pid}`);
try {
  console.log(await packClient());
} catch (error) {
  console.error(`Packing the client failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(staging, { recursive: true, force: true });
}

/** Makes the tarball and returns its path. */
async function packClient(): Promise<string> {
  const whole = JSON.parse(readFileSync(join(WORKING_COPY, 'package.json'), 'utf8')) as Package;
  mkdirSync(target, { recursive: true });
  mkdirSync(staging, { recursive: true });
  const compiler = join(WORKING_COPY, 'node_modules/typescript/bin/tsc');
  const project = join(WORKING_COPY, 'tsconfig.client.json');
  await runCommand(process.execPath, [compiler, '-p', project, '--outDir', join(staging, 'dist')]);
  copyFileSync(join(WORKING_COPY, 'LICENSE'), join(staging, 'LICENSE'));
  copyFileSync(join(WORKING_COPY, 'docs/client.md'), join(staging, 'README.md'));
  writeFileSync(join(staging, 'package.json'), `${JSON.stringify(manifest(whole), null, 2)}\n`);
  const packed = await runCommand('npm', ['pack', '--silent', '--pack-destination', target], { cwd: staging });
  return join(target, packed.trim());
}

function manifest({ version, license, engines, dependencies }: Package): object {
  const needed = packagesIn(join(staging, 'dist')).map((name) => {
    const known = dependencies[name];
    if (known === undefined) throw new Error(`the client imports ${name}, which is not a dependency`);
    return [name, known] as const;
  });
  return {
    name: 'pulse-agent-client',
    version,
    description: 'Client of Pulse Agent: RabbitMQ credentials for Taskcluster namespaces, over AMQP',
    license,
    type: 'module',
    engines,
    exports: {
      '.': { types: './dist/client/index.d.ts', default: './dist/client/index.js' },
      './package.json': './package.json',
    },
    files: ['dist'],
    dependencies: Object.fromEntries(needed),
  };
}

/** The packages that the JavaScript and the type declarations in a folder import, sorted. */
function packagesIn(folder: string): string[] {
  const found = new Set<string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(?:js|d\.ts)$/.test(name)) continue;
    for (const [, from, bare] of readFileSync(join(folder, name), 'utf8').matchAll(IMPORT)) {
      const specifier = from ?? bare ?? '';
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
      found.add(
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    }
  }
  return [...found].toSorted();
}
