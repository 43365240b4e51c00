import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeFolder } from '../support/folders.ts';

/** The names that examples may use without an import. */
const GIVEN = `import { connect } from 'amqplib';
import { Lease } from '${resolve('src/client/lease.ts')}';
import { openRpc } from '${resolve('src/client/rpc.ts')}';
import { PulseAgentClient } from 'pulse-agent/client';

declare const url: string, clientId: string, accessToken: string;
declare const client: PulseAgentClient;
declare const lease: Lease;
export const given = { connect, openRpc };
`;

interface Example {
  readonly place: string;
  readonly text: string;
}

/** The text after `@example` in the comments of a file, up to the next tag or the end of the comment. */
function examplesIn(file: string): Example[] {
  const found: Example[] = [];
  for (const { 0: comment, index } of readFileSync(file, 'utf8').matchAll(/\/\*\*.*?\*\//gs)) {
    for (const [, text = ''] of comment.matchAll(/@example\n(.*?)(?=\n\s*\* @|\*\/)/gs)) {
      const line = readFileSync(file, 'utf8').slice(0, index).split('\n').length;
      found.push({ place: `${file}:${line}`, text: text.replaceAll(/^\s*\* ?/gm, '') });
    }
  }
  return found;
}

/** A module with the example in a function, so that its names shadow the given ones. */
function moduleOf({ text }: Example): string {
  const lines = text.split('\n');
  const isImport = (line: string): boolean => line.startsWith('import ');
  const own = lines.filter(isImport);
  const given = GIVEN.split('\n').filter((line) => !own.includes(line));
  const body = lines.filter((line) => !isImport(line));
  return [...own, ...given, 'export async function example() {', ...body, '}'].join('\n');
}

async function compile(folder: string): Promise<string> {
  const options = { extends: resolve('tsconfig.json'), include: ['*.ts'] };
  const compilerOptions = {
    noUnusedLocals: false,
    rewriteRelativeImportExtensions: false,
    types: ['node'],
    typeRoots: [resolve('node_modules/@types')],
    paths: { 'pulse-agent/client': [resolve('src/client/index.ts')] },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...options, compilerOptions }));
  return await new Promise((settle) => {
    execFile(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], (_error, stdout) => settle(stdout));
  });
}

describe('the examples in the comments of the client library', function () {
  this.timeout(60_000);
  const files = readdirSync('src/client').map((name) => join('src/client', name));
  const examples = files.flatMap(examplesIn);

  it('exist for what users need first', () => {
    for (const name of ['index', 'client', 'lease', 'rpc']) {
      assert.ok(
        examples.some(({ place }) => place.startsWith(`src/client/${name}.ts`)),
        name,
      );
    }
  });

  it('compile', async () => {
    const folder = makeFolder('examples');
    for (const [index, example] of examples.entries()) writeFileSync(join(folder, `${index}.ts`), moduleOf(example));
    const complaints = await compile(folder);
    const places = complaints.replaceAll(
      /(?:\S*\/)?(\d+)\.ts(?=\()/g,
      (_, index: string) => examples[Number(index)]?.place ?? '',
    );
    assert.equal(places, '');
  });

  it('are rejected when they are wrong', async () => {
    const folder = makeFolder('examples');
    writeFileSync(join(folder, '0.ts'), moduleOf({ place: '', text: "await client.claimNamespace({ name: 'x' });" }));
    assert.match(await compile(folder), /error TS/);
  });
});
