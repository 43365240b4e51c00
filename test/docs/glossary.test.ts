import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { EVENT_TYPES } from '../../src/contract/event-types.ts';
import { LOG_CODES } from '../../src/util/log-codes.ts';
import { readDocument } from './documents.ts';

const glossary = readDocument('glossary.md');
const entries = glossary.split(/^- (?=\*\*)/m).slice(1);
const settings = Object.keys(parse(readFileSync('config/default.yml', 'utf8')) as Record<string, unknown>);
const records = ['namespace', 'notice', 'queue-alert', 'audit'].map((kind) => {
  const path = [`src/store/${kind}-record.ts`, `src/store/${kind}-records.ts`].find((one) => existsSync(one));
  assert.ok(path, kind);
  return readFileSync(path, 'utf8');
});

/** The spans of code that follow one of these words in an entry, also as a list: "settings `a`, `b`". */
function named(entry: string, word: string): string[] {
  const lists = [...entry.matchAll(new RegExp(`\\b${word}s? ((?:\`[^\`]+\`(?:, | and )?)+)`, 'gi'))];
  return lists.flatMap(([, list = '']) => [...list.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span));
}

describe('docs/glossary.md', () => {
  it('has each term once', () => {
    assert.ok(entries.length > 40, `${entries.length} entries`);
    const terms = entries.flatMap((entry) => (/^\*\*([^*]+)\*\*/.exec(entry)?.[1] ?? '').split(', '));
    assert.equal(new Set(terms).size, terms.length);
  });

  it('names paths that exist', () => {
    const paths = [...glossary.matchAll(/`((?:src|docs|test|dev)\/[^`]*)`/g)].map(([, path = '']) => path);
    assert.ok(paths.length > 20);
    for (const path of paths) assert.ok(existsSync(path), path);
  });

  it('names settings, record fields, log codes, events, jobs and metrics that exist', () => {
    const metrics = readFileSync('src/observe/metrics.ts', 'utf8');
    const jobs = readdirSync('src/jobs').map((name) => readFileSync(`src/jobs/${name}`, 'utf8'));
    for (const entry of entries) {
      for (const setting of named(entry, 'setting')) assert.ok(settings.includes(setting), setting);
      for (const code of named(entry, 'log code')) assert.ok(code in LOG_CODES, code);
      for (const type of named(entry, 'event')) assert.ok(type in EVENT_TYPES, type);
      for (const metric of named(entry, 'metric')) assert.ok(metrics.includes(`'${metric}'`), metric);
      for (const job of named(entry, 'job')) assert.ok(jobs.join('').includes(`'${job}'`), job);
      for (const field of named(entry, 'record field')) {
        const name = field.replace(/^.*\./, '');
        assert.ok(
          records.some((text) => text.includes(`readonly ${name}:`)),
          field,
        );
      }
    }
  });
});
