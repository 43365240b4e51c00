import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { documentUrl, GENERATED_DOCUMENTS } from '../../dev/generated-docs.ts';

describe('generated documents', () => {
  for (const [name, render] of Object.entries(GENERATED_DOCUMENTS)) {
    it(`docs/${name} is what the code says`, () => {
      assert.ok(readFileSync(documentUrl(name), 'utf8') === render(), 'it is out of date: run npm run docs');
    });
  }
});
