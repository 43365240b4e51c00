/** One figure of the bench and its limit. */
export interface Row {
  readonly what: string;
  readonly measured: string;
  /** The limit: fixed, or measured in the same run. */
  readonly limit: string;
  readonly ratio?: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** The measured numbers, for programs. */
  readonly figures?: Readonly<Record<string, number>>;
}

/** How the rows end that are measured against taskcluster-pulse. */
export const AGAINST_PREDECESSOR = ', against taskcluster-pulse';

/** `met` or `missed`; empty without a goal. */
export function verdict({ ratio, atLeast, atMost }: Row): '' | 'met' | 'missed' {
  if (ratio === undefined || (atLeast === undefined && atMost === undefined)) return '';
  return ratio >= (atLeast ?? -Infinity) && ratio <= (atMost ?? Infinity) ? 'met' : 'missed';
}

/** The rows as a Markdown table. */
export function toTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.what,
    row.measured,
    row.limit,
    row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.atLeast === undefined ? (row.atMost === undefined ? '' : `≤ ${row.atMost}`) : `≥ ${row.atLeast}`,
    verdict(row),
  ]);
  const header = ['what', 'measured', 'against', 'ratio', 'goal', ''];
  return [header, header.map(() => '---'), ...cells].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** How many goals were met, and which were missed. */
export function goals(rows: readonly Row[]): string {
  const missed = rows.filter((row) => verdict(row) === 'missed');
  const met = rows.filter((row) => verdict(row) === 'met').length;
  return [`${met} of ${met + missed.length} goals met.`, ...missed.map(({ what }) => `Missed: ${what}`)].join('\n');
}
