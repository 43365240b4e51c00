import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { useBlocks } from './blocks.ts';
import { readPackageScripts, rowsByName } from './documents.ts';

describe('CONTRIBUTING.md', () => {
  const contributing = useBlocks('CONTRIBUTING.md');
  const text = readFileSync('CONTRIBUTING.md', 'utf8');

  it('names commands that exist', () => {
    const reason = 'a test cannot run all tests; each of these commands checks a change';
    const scripts = readPackageScripts();
    for (const line of contributing.leave('npm run check', reason).text.trimEnd().split('\n')) {
      const [command = ''] = line.split(/ {2,}#/);
      const [, script, rest = ''] = /^npm (?:run )?(\S+)(?: -- (.*))?$/.exec(command) ?? [];
      if (script === undefined) accessSync(command, constants.X_OK);
      else assert.ok(script in scripts, command);
      if (rest.startsWith('test/')) assert.ok(existsSync(rest), rest);
    }
  });

  it('has a script for another RabbitMQ', () => {
    contributing.leave('exec "$@"', 'test/dev/rabbitmq-install.test.ts runs it, which takes seconds');
  });

  it('has every directory of src/ in its map, and no other', () => {
    const directories = readdirSync('src', { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${entry.parentPath}/${entry.name}/`);
    const mapped = [...rowsByName(text).keys()].filter((name) => name.startsWith('src/'));
    assert.deepEqual(mapped.toSorted(), directories.toSorted());
  });

  it('names paths that exist', () => {
    const paths = [...text.matchAll(/`((?:src|test|dev|docs|config)\/[^`<…\s]*)`/g)].map(([, path = '']) => path);
    assert.ok(paths.length > 50, `${paths.length} paths`);
    for (const path of paths) assert.ok(existsSync(path), path);
  });
});
