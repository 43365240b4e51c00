import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stop } from 'esbuild';
import { bundlePage, MAX_PAGE_BYTES, PAGE_FILES } from '../../dev/bundle-page.ts';
import { makeFolder } from '../support/folders.ts';
import { typeScriptFiles } from '../support/import-graph.ts';

describe("the bundled operators' page", function () {
  this.timeout(60_000);
  let folder: string;
  let bytes: number;
  const read = (file: string): string => readFileSync(join(folder, 'page', file), 'utf8');

  before(async () => {
    folder = makeFolder('page');
    bytes = await bundlePage(folder);
  });

  after(async () => await stop());

  it('is the files that a browser asks for, with the licences of the packages', () => {
    assert.deepEqual(readdirSync(join(folder, 'page')).toSorted(), [...PAGE_FILES, 'licences.txt'].toSorted());
    const [, ...entries] = read('licences.txt').split(`\n\n${'-'.repeat(80)}\n\n`);
    assert.equal(entries.length, 1);
    assert.match(entries[0] ?? '', /^preact [\d.]+ \(MIT\)\n[^]*Permission is hereby granted/);
  });

  it(`has at most ${MAX_PAGE_BYTES} bytes gzipped`, () => {
    assert.ok(bytes > 10_000 && bytes <= MAX_PAGE_BYTES, `${bytes} bytes`);
  });

  it('loads its files by addresses relative to itself, and nothing of another host', () => {
    const addresses = [...read('index.html').matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, address]) => address);
    assert.deepEqual(addresses.map(String).toSorted(), ['./icon.svg', './page.css', './page.js']);
    for (const file of PAGE_FILES) {
      const urls = read(file).replaceAll(/http:\/\/www\.w3\.org\/[\w/]+/g, '');
      assert.doesNotMatch(urls, /https?:\/\/|\burl\(|@import|"\/api/, file);
    }
  });

  it('shows names as text, never as markup', () => {
    for (const file of typeScriptFiles('src/page')) {
      assert.doesNotMatch(readFileSync(file, 'utf8'), /dangerouslySetInnerHTML|innerHTML|insertAdjacentHTML/, file);
    }
  });

  it('needs no script, style or handler that its Content-Security-Policy forbids', () => {
    assert.doesNotMatch(read('index.html'), /<style|\bstyle=|\bon\w+=|<script(?![^>]*\bsrc=)/);
    assert.doesNotMatch(read('page.js'), /\beval\(|new Function\(/);
  });
});
