import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { makeFolder } from '../support/folders.ts';
import { blocksOf, runShell } from './blocks.ts';

function documentOf(text: string): string {
  const file = join(makeFolder('document'), 'some.md');
  writeFileSync(file, text);
  return relative('.', file);
}

describe('blocksOf', () => {
  it('finds each block with its language, its heading and its place', () => {
    const path = documentOf('# One\n```sh\necho\n```\n## Two\n\n```\n# no heading\n\n```\n  ```js\n  a\n  ```\n');
    assert.deepEqual(blocksOf(path), [
      { place: `${path}:2`, heading: 'One', language: 'sh', text: 'echo\n' },
      { place: `${path}:7`, heading: 'Two', language: '', text: '# no heading\n\n' },
      { place: `${path}:11`, heading: 'Two', language: 'js', text: '  a\n' },
    ]);
  });

  it('refuses a fence that is not closed', () => {
    assert.throws(() => blocksOf(documentOf('```sh\necho\n')), /not closed/);
  });
});

describe('runShell', () => {
  const block = (text: string) => ({ place: 'some.md:1', heading: '', language: 'sh', text });

  it('gives what a block printed', async () => {
    const { stdout, stderr } = await runShell(block('echo "$NAME"\necho here >&2\n'), { env: { NAME: 'x' } });
    assert.deepEqual([stdout, stderr], ['x\n', 'here\n']);
  });

  it('fails with the first command that does, and says where', async () => {
    await assert.rejects(runShell(block('echo so far\nfalse\necho not this\n')), /some\.md:1 exited with 1:\nso far\n/);
  });

  it('kills a block that hangs, with what it started, and says what it had printed', async () => {
    await assert.rejects(
      runShell(block('echo so far\nsleep 60 | cat\n'), { patienceMs: 500 }),
      /some\.md:1 exited with SIGKILL:\nso far\n/,
    );
  });
});
