import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { WIRE_ERRORS } from '../../src/contract/wire-errors.ts';
import { PARTS } from '../../src/observe/health.ts';
import { AGENT_ERRORS } from '../../src/util/agent-errors.ts';
import { LOG_CODES } from '../../src/util/log-codes.ts';
import { anchorsOf, readDocument, section } from './documents.ts';

const PATH = 'docs/recover.md';
/** Entries that are no trouble. */
const OTHERS = ['Backing up'];

interface Row {
  /** The code in the first cell: log codes, alerts, errors. */
  readonly signs: readonly string[];
  readonly heading: string;
  readonly anchor: string;
  readonly tests: readonly string[];
}

interface Alert {
  readonly alert: string;
  readonly annotations: { readonly runbook: string };
}

const rules = parseYaml(readFileSync('config/monitoring/prometheus-alerts.yml', 'utf8')) as {
  groups: { rules: Partial<Alert>[] }[];
};
const alerts = rules.groups.flatMap((group) => group.rules).filter((rule): rule is Alert => rule.alert !== undefined);

describe('docs/recover.md: its table', () => {
  const text = readDocument('recover.md');
  const spans = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  const rows = [...text.matchAll(/^\| (.*) \| \[(.*)\]\(#(.*)\) \| (.*) \|$/gm)].map(
    ([, signs = '', heading = '', anchor = '', tests = '']): Row => {
      return { signs: spans(signs), heading, anchor, tests: spans(tests) };
    },
  );

  it('begins with what one notices: log codes, alerts, and errors that exist', () => {
    const known = new Set<string>([
      ...Object.keys(LOG_CODES),
      ...Object.keys(WIRE_ERRORS),
      ...Object.keys(AGENT_ERRORS),
      ...Object.keys(PARTS),
      ...alerts.map(({ alert }) => alert),
    ]);
    assert.ok(rows.length > 25, `${rows.length} rows`);
    for (const { heading, signs } of rows) for (const sign of signs) assert.ok(known.has(sign), `${heading}: ${sign}`);
  });

  it('has every alert, in the row of its runbook', () => {
    for (const { alert, annotations } of alerts) {
      const found = rows.filter(({ signs }) => signs.includes(alert)).map(({ anchor }) => `${PATH}#${anchor}`);
      assert.deepEqual(found, [annotations.runbook], alert);
    }
  });

  it('has every entry once, and names tests that exist', () => {
    const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading);
    const entries = headings.filter((heading) => !OTHERS.includes(heading));
    assert.deepEqual(rows.map(({ heading }) => heading).toSorted(), entries.toSorted());
    for (const { anchor, tests } of rows) {
      assert.ok(anchorsOf(PATH).has(anchor), anchor);
      assert.ok(tests.length > 0, anchor);
      for (const test of tests) assert.ok(existsSync(test), test);
    }
  });

  it('leads to entries that end with how one sees that it is cured', () => {
    for (const { heading } of rows) {
      const last = section(text, `## ${heading}`).trim().split('\n\n').at(-1);
      assert.match(last ?? '', /^\*\*Cured when\*\* /, heading);
    }
  });
});
