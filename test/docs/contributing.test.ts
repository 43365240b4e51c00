import assert from 'node:assert/strict';
import { accessSync, constants, existsSync } from 'node:fs';
import { readPackageScripts } from './documents.ts';
import { useBlocks } from './blocks.ts';

describe('CONTRIBUTING.md and docs/design.md, their blocks', () => {
  const contributing = useBlocks('CONTRIBUTING.md');
  const design = useBlocks('docs/design.md');

  it('the commands are there', () => {
    const reason = 'a test cannot run all tests; each of these commands is what a change is checked with';
    const scripts = readPackageScripts();
    for (const line of contributing.leave('npm run check', reason).text.trimEnd().split('\n')) {
      const [command = ''] = line.split(/ {2,}#/);
      const [, script, rest = ''] = /^npm (?:run )?(\S+)(?: -- (.*))?$/.exec(command) ?? [];
      if (script === undefined) accessSync(command, constants.X_OK);
      else assert.ok(script in scripts, command);
      if (rest.startsWith('test/')) assert.ok(existsSync(rest), rest);
    }
  });

  it('the rest are drawings', () => {
    const reason = 'nothing in it can be run';
    contributing.leave('requests, jobs ─▶', reason);
    design.leave('client ─▶', reason);
    design.leave('─▶ warning ─', reason);
  });
});
