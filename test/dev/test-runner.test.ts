import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { RunResult } from '../support/reporter.ts';
import { makeFolder } from '../support/folders.ts';
import { runProgram } from '../support/program.ts';

/** Runs Mocha with the reporter of this project on a file with these tests. */
async function runTests(text: string) {
  const folder = makeFolder('test-runner');
  const file = join(folder, 'sample.cjs');
  const resultFile = join(folder, 'result.json');
  const reporter = resolve('test/support/reporter.ts');
  writeFileSync(file, text);
  const mocha = runProgram(
    process.execPath,
    ['--import', 'tsx', 'node_modules/mocha/bin/mocha.js', '--no-config', '--reporter', reporter, file],
    { cwd: '.', env: { ...process.env, PULSE_AGENT_TEST_RESULT: resultFile } },
  );
  const code = await mocha.exited;
  const result = JSON.parse(readFileSync(resultFile, 'utf8')) as RunResult;
  return { code, result, output: mocha.output() };
}

describe('the test runner', () => {
  it('counts an unhandled rejection as a failure, with its text, and runs the other tests', async () => {
    const { code, result, output } = await runTests(`
      it('forgets a promise', async () => {
        void Promise.reject(new Error('forgotten one'));
        await new Promise((settle) => setTimeout(settle, 20));
      });
      it('forgets a promise that fails later', () => {
        setTimeout(() => Promise.reject('forgotten two'), 10);
      });
      it('passes', () => new Promise((settle) => setTimeout(settle, 50)));
    `);
    assert.deepEqual(result, { passed: 3, failed: 2, skipped: 0 });
    assert.equal(code, 2);
    assert.match(output, /unhandled rejection in or after "forgets a promise"[^]*Error: forgotten one/);
    assert.match(output, /rejected with forgotten two/);
  });

  it('counts an error outside of a test as a failure, with its text', async () => {
    const { code, result, output } = await runTests(`
      it('leaves a timer', () => {
        setImmediate(() => {
          throw new Error('thrown too late');
        });
      });
      it('passes', () => new Promise((settle) => setTimeout(settle, 50)));
    `);
    assert.equal(result.failed, 1);
    assert.notEqual(code, 0);
    assert.match(output, /Error: thrown too late/);
  });

  for (const late of [`Promise.reject(new Error('too late'))`, `(() => { throw new Error('too late'); })()`]) {
    it(`fails for an error after the last test: ${late}`, async () => {
      const { code, output } = await runTests(`
        it('leaves a timer', () => {
          setTimeout(() => ${late}, 200);
        });
      `);
      assert.notEqual(code, 0);
      assert.match(output, /Error: too late/);
    });
  }
});
