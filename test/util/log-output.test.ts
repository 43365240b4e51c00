import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { gatherLines } from '../../src/util/log-output.ts';

describe('the output of a log', () => {
  it('writes the lines of a turn together, in order, and those of the next turn after them', () => {
    const written: string[] = [];
    const scheduled: (() => void)[] = [];
    const output = gatherLines(
      (text) => void written.push(text),
      (flush) => void scheduled.push(flush),
    );
    output.write('1\n');
    output.write('2\n');
    assert.deepEqual([written, scheduled.length], [[], 1]);
    scheduled[0]?.();
    assert.deepEqual(written, ['1\n2\n']);
    output.write('3\n');
    output.flush();
    output.write('4\n');
    for (const flush of scheduled.slice(1)) flush();
    output.flush();
    assert.deepEqual(written, ['1\n2\n', '3\n', '4\n']);
  });

  for (const [how, end] of [
    ['an exit', 'process.exit(3)'],
    ['an uncaught error', "throw new Error('unexpected')"],
    ['a rejection', "Promise.reject(new Error('unexpected'))"],
  ] as const) {
    it(`has every line also at ${how} in the same turn`, () => {
      const program = `
        import { createLog } from './src/util/log.ts';
        import { openLogOutput } from './src/util/log-output.ts';
        const log = createLog({ id: 'a', logLevel: 'info' }, openLogOutput());
        log.info({ code: 'agent_stopping' }, 'first');
        setImmediate(() => {
          log.info({ code: 'agent_stopping' }, 'second');
          log.fatal({ code: 'agent_must_stop' }, 'last');
          ${end};
        });`;
      const { stdout, status } = spawnSync(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', program],
        {
          encoding: 'utf8',
        },
      );
      assert.ok(status !== 0);
      const messages = stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { msg: string }).msg);
      assert.deepEqual(messages, ['first', 'second', 'last']);
    });
  }
});
