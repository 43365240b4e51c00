import type { Row } from './table.ts';

/** A goal in absolute figures for a row that also has a limit of the same run. */
interface FixedGoal {
  /** What {@link Row.what} says. */
  readonly row: string;
  readonly figure: string;
  readonly what: string;
  readonly unit: string;
  readonly atMost: number;
}

/** Of the page for operators: of each answer, in ms at p99, and of claims at p99 with all streams of events open. */
export const PAGE_GOALS = { answerMs: 150, claimsRatio: 1.2 } as const;

const FIXED_GOALS: readonly FixedGoal[] = [
  { row: 're-claims, 32 in flight', figure: 'cpuMs', what: 'CPU of a re-claim', unit: 'ms', atMost: 0.45 },
  {
    row: 're-claims, 32 in flight, sealed',
    figure: 'cpuMs',
    what: 'CPU of a sealed re-claim',
    unit: 'ms',
    atMost: 0.6,
  },
  { row: 'new claims, 32 in flight', figure: 'cpuMs', what: 'CPU of a new claim', unit: 'ms', atMost: 1.8 },
  { row: 're-claim, one at a time', figure: 'p50Ms', what: 'p50 of a re-claim alone', unit: 'ms', atMost: 2 },
  { row: 'new claim, one at a time', figure: 'p50Ms', what: 'p50 of a new claim alone', unit: 'ms', atMost: 7 },
  { row: 'first rotation of 1000 namespaces', figure: 'seconds', what: 'first rotation', unit: 's', atMost: 1.2 },
  { row: 'a later rotation', figure: 'seconds', what: 'later rotation', unit: 's', atMost: 0.7 },
  {
    row: 'end of 1000 namespaces with 5000 queues',
    figure: 'seconds',
    what: 'end of the namespaces',
    unit: 's',
    atMost: 6,
  },
  {
    row: 'end of 1000 namespaces with 5000 queues',
    figure: 'cpuSeconds',
    what: 'CPU of their end',
    unit: 's',
    atMost: 2.5,
  },
];

/** The measured figures for which there is an absolute goal. */
export function fixedRows(rows: readonly Row[]): Row[] {
  return FIXED_GOALS.flatMap(({ row, figure, what, unit, atMost }) => {
    const value = rows.find((one) => one.what === row)?.figures?.[figure];
    if (value === undefined) return [];
    return {
      what,
      measured: `${value.toFixed(2)} ${unit}`,
      limit: `${atMost} ${unit}`,
      ratio: value / atMost,
      atMost: 1,
      figures: { [figure]: value },
    };
  });
}
