import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { COMMANDS } from '../../src/cli/commands.ts';
import { runProgram } from '../../src/cli/program.ts';
import { runnableBlocksOf } from './blocks.ts';
import { DOCUMENTS, readPackageScripts, withoutBlocks } from './documents.ts';

/** The spans of code in the text of a document, outside of blocks, that begin with this. */
function spans(path: string, begin: string): string[] {
  const text = withoutBlocks(readFileSync(path, 'utf8'));
  return [...text.matchAll(/`([^`]+)`/g)].flatMap(([, span = '']) =>
    span.startsWith(`${begin} `) ? [span.replaceAll(/\s+/g, ' ')] : [],
  );
}

async function helpOf(command: string): Promise<string> {
  let help = '';
  const stream = { write: (text: string) => (help += text) };
  const terminal = { env: {}, stdout: stream, stderr: stream, signal: new AbortController().signal };
  assert.equal(await runProgram([command, '--help'], terminal), 0);
  return help;
}

describe('commands within sentences', () => {
  it('of pulse-agent exist, with their options', async () => {
    const all = DOCUMENTS.flatMap((path) => spans(path, 'npx pulse-agent'));
    assert.ok(all.length > 10);
    for (const span of all) {
      const [, , command = '', ...words] = span.split(' ');
      if (command.startsWith('-') || command.startsWith('<')) continue;
      assert.ok(command in COMMANDS, span);
      const help = await helpOf(command);
      const options = words.slice(0, words.includes('--') ? words.indexOf('--') : undefined);
      for (const word of options.filter((one) => one.startsWith('--')))
        assert.ok(help.includes(word), `${span}: ${word}`);
    }
  });

  it('of npm exist', () => {
    const scripts = readPackageScripts();
    const all = DOCUMENTS.flatMap((path) => spans(path, 'npm run'));
    assert.ok(all.length > 5);
    for (const span of all) assert.ok((span.split(' ')[2] ?? '') in scripts, span);
  });
});

describe('blocks of documents', () => {
  it('are run by a test, in every document that has some', () => {
    const tests = ['test/docs', 'test/clients', 'test/cluster'].flatMap((folder) =>
      readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`, 'utf8')),
    );
    for (const path of DOCUMENTS) {
      if (runnableBlocksOf(path).length === 0) continue;
      assert.ok(
        tests.some((text) => text.includes('useBlocks(') && text.includes(`'${path}'`)),
        path,
      );
    }
  });
});
