import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withoutBlocks } from './documents.ts';

const DOCUMENTS = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...readdirSync('docs').flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
  ...readdirSync('examples').map((name) => `examples/${name}/README.md`),
];

/** The anchors that GitHub gives to the headings of a document. */
function anchorsOf(path: string): ReadonlySet<string> {
  const headings = [...withoutBlocks(readFileSync(path, 'utf8')).matchAll(/^#+ (.*)$/gm)];
  return new Set(
    headings.map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

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

    it(`${path}: paths in the text exist`, () => {
      const text = withoutBlocks(readFileSync(path, 'utf8'));
      for (const [, named = ''] of text.matchAll(/`((?:src|test|dev|docs|config|examples)\/[^`*<…\s]*)`/g)) {
        assert.ok(existsSync(named), named);
      }
    });
  }
});
