import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { anchorsOf, DOCUMENTS, withoutBlocks } from './documents.ts';

const MAX_LINE_LENGTH = 120;

describe('documents', () => {
  for (const path of DOCUMENTS) {
    it(`${path}: links lead to files and headings that exist`, () => {
      const text = withoutBlocks(readFileSync(path, 'utf8'));
      for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [file = '', anchor] = target.split('#');
        const linked = file === '' ? path : join(dirname(path), file);
        assert.ok(existsSync(linked), target);
        if (anchor !== undefined) assert.ok(anchorsOf(linked).has(anchor), target);
      }
    });

    it(`${path}: lines have at most ${MAX_LINE_LENGTH} characters, except in tables and blocks`, () => {
      const lines = withoutBlocks(readFileSync(path, 'utf8')).split('\n');
      assert.deepEqual(
        lines.filter((line) => line.length > MAX_LINE_LENGTH && !line.startsWith('|')),
        [],
      );
    });

    it(`${path}: paths in the text exist`, () => {
      const text = withoutBlocks(readFileSync(path, 'utf8'));
      for (const [, named = ''] of text.matchAll(/`((?:src|test|dev|docs|config|examples)\/[^`*<…\s]*)`/g)) {
        assert.ok(existsSync(named), named);
      }
    });
  }

  it('docs/design.md has no longer line at all', () => {
    const lines = readFileSync('docs/design.md', 'utf8').split('\n');
    assert.deepEqual(
      lines.filter((line) => line.length > MAX_LINE_LENGTH),
      [],
    );
  });
});
