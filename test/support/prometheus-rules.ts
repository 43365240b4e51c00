import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runCommand } from '../../dev/commands.ts';
import { ensureUnpackedProgram, PROMTOOL } from '../../dev/unpacked-program.ts';
import { makeFolder } from './folders.ts';
import { skipBecause } from './skip.ts';

/** The samples of one series, a minute apart; undefined: none. */
export type Series = readonly (number | undefined)[];

/** What an expression has to give at a minute: the value of each set of labels, as in `{alertname="A"}`. */
export interface ExpectedSamples {
  readonly expr: string;
  readonly minute: number;
  readonly samples: Readonly<Record<string, number>>;
}

/** For use in a `before`: Prometheus's tool; without it the tests of the suite are skipped. */
export async function promtoolOrSkip(context: Mocha.Context): Promise<string> {
  try {
    return await ensureUnpackedProgram(PROMTOOL, '.cache');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return skipBecause(context, `no promtool on PATH, and Debian's package prometheus cannot be had: ${reason}`);
  }
}

/**
 * Lets Prometheus's own code evaluate rules and expressions on series.
 *
 * @throws Error with what it found instead
 */
export async function evaluateRules(
  promtool: string,
  rulesFile: string,
  series: Readonly<Record<string, Series>>,
  expected: readonly ExpectedSamples[],
): Promise<void> {
  const file = join(makeFolder('rules'), 'test.yml');
  const test = {
    rule_files: [resolve(rulesFile)],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({
          series: name,
          values: values.map((value) => value ?? '_').join(' '),
        })),
        promql_expr_test: expected.map(({ expr, minute, samples }) => ({
          expr,
          eval_time: `${minute}m`,
          exp_samples: Object.entries(samples).map(([labels, value]) => ({ labels, value })),
        })),
      },
    ],
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(test));
  await runCommand(promtool, ['test', 'rules', file]);
}
