import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';
import { skipReason } from './skip.ts';
import { watchRejections } from './unhandled-rejections.ts';

/** The counts of a run, written as JSON to the file that `PULSE_AGENT_TEST_RESULT` names. */
export interface RunResult {
  passed: number;
  failed: number;
  skipped: number;
}

const { constants } = Mocha.Runner;

/**
 * Prints one line a test under the titles of its suites, with the reason where it is skipped, and the failures in full at
 * the end. Where several processes share the terminal (they have a channel to their parent) the lines of a file come
 * together.
 */
export default class Reporter extends Mocha.reporters.Base {
  #depth = 0;
  readonly #held: string[] | undefined = process.channel === undefined ? undefined : [];

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const result: RunResult = { passed: 0, failed: 0, skipped: 0 };
    watchRejections(runner);
    runner.on(constants.EVENT_SUITE_BEGIN, (suite) => {
      if (suite.root) return;
      this.#print(suite.title);
      this.#depth++;
    });
    runner.on(constants.EVENT_SUITE_END, (suite) => {
      if (!suite.root) this.#depth--;
    });
    runner.on(constants.EVENT_TEST_PASS, (test) => {
      result.passed++;
      this.#print(`ok    ${test.title}${test.speed === 'fast' ? '' : ` (${test.duration} ms)`}`);
    });
    runner.on(constants.EVENT_TEST_PENDING, (test) => {
      result.skipped++;
      this.#print(`skip  ${test.title}: ${skipReason(test)}`);
    });
    runner.on(constants.EVENT_TEST_FAIL, (test, error: Error) => {
      result.failed++;
      this.#print(`FAIL  ${test.title}: ${error.message.split('\n')[0]}`);
    });
    runner.on(constants.EVENT_RUN_END, () => {
      if (this.#held !== undefined) Mocha.reporters.Base.consoleLog(this.#held.join('\n'));
      if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures);
      const file = process.env['PULSE_AGENT_TEST_RESULT'];
      if (file !== undefined) writeFileSync(file, JSON.stringify(result));
    });
  }

  #print(line: string): void {
    const indented = '  '.repeat(this.#depth) + line;
    if (this.#held === undefined) Mocha.reporters.Base.consoleLog(indented);
    else this.#held.push(indented);
  }
}
