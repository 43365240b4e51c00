import { readFileSync, writeFileSync } from 'node:fs';
import { documentUrl, withTables } from '../dev/generated-docs.ts';
import { AGAINST_PREDECESSOR, goals, type Row, toTable } from './table.ts';

/** What `npm run bench` writes into `.cache/bench.json`. */
export interface BenchResults {
  readonly machine: string;
  readonly node: string;
  readonly rabbitmq: string;
  readonly agent: string;
  /** ISO 8601. */
  readonly measuredAt: string;
  readonly minutes: number;
  readonly rows: readonly Row[];
}

/** The machine, the versions and the table of one run, in Markdown. */
export function figuresText({ machine, node, rabbitmq, agent, measuredAt, minutes, rows }: BenchResults): string {
  return [
    `- ${machine}, shared by the broker, the agent, the stand-in and the load; ${rabbitmq}`,
    `- ${node}`,
    `- ${agent}, ${measuredAt.slice(0, 10)}, ${minutes.toFixed(1)} minutes`,
    '',
    toTable(rows),
    '',
    goals(rows).split('\n')[0],
  ].join('\n');
}

/** The texts for the document: one for the rows against taskcluster-pulse and one for all others, as far as there are any. */
export function documentTables(results: BenchResults): Record<string, string> {
  const tables: Record<string, string> = {};
  for (const [marker, isPredecessor] of [
    ['figures', false],
    ['predecessor', true],
  ] as const) {
    const rows = results.rows.filter(({ what }) => what.endsWith(AGAINST_PREDECESSOR) === isPredecessor);
    if (rows.length > 0) tables[marker] = `\n${figuresText({ ...results, rows })}\n`;
  }
  return tables;
}

/** Puts the results of a run into `docs/performance.md`. */
export function writeFigures(resultsFile: string): void {
  const results = JSON.parse(readFileSync(resultsFile, 'utf8')) as BenchResults;
  const name = 'performance.md';
  writeFileSync(documentUrl(name), withTables(name, documentTables(results)));
}
