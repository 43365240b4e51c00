import assert from 'node:assert/strict';
import { createOutput } from '../../src/cli/output.ts';
import { watchIntervalMs, watchValue, type WatchedValue } from '../../src/cli/watch-values.ts';
import { WireError } from '../../src/contract/wire-errors.ts';

/** A stream that keeps what is written to it. */
function makeStream(rows?: number) {
  const written: string[] = [];
  return {
    written,
    isTTY: rows !== undefined,
    ...(rows === undefined ? {} : { rows }),
    write: (text: string) => written.push(text),
  };
}

/** Watches these values, an error in place of one that cannot be read, until all were read. */
async function watch(readings: readonly (number | Error)[], options: { rows?: number; json?: boolean } = {}) {
  const stdout = makeStream(options.rows);
  const stderr = makeStream();
  const ending = new AbortController();
  const left = [...readings];
  const watched: WatchedValue<number> = {
    intervalMs: 1,
    async read() {
      const reading = left.shift();
      if (left.length === 0) setImmediate(() => ending.abort());
      if (reading === undefined) throw ending.signal.reason ?? new Error('The test read too often.');
      if (reading instanceof Error) throw reading;
      return reading;
    },
    text: (value) => `value ${value}`,
    changes: (before, value) =>
      before === value ? [] : [{ value: { value }, text: () => `${before} is ${value} now` }],
  };
  const output = createOutput(stdout, stderr, { NO_COLOR: '1' }, options.json === true);
  await watchValue({ output, signal: ending.signal }, watched);
  return { stdout: stdout.written, stderr: stderr.written.join('') };
}

describe('--watch', () => {
  it('prints the whole once, and then what changes, where there is no terminal', async () => {
    const { stdout, stderr } = await watch([1, 1, 2, 2, 3]);
    assert.deepEqual(stdout, ['value 1\n', '1 is 2 now\n', '2 is 3 now\n']);
    assert.equal(stderr, '');
  });

  it('prints everything, and then what changes, as JSON', async () => {
    const { stdout } = await watch([1, 1, 2], { json: true });
    assert.deepEqual(stdout, ['{"value":1}\n', '{"value":2}\n']);
  });

  it('redraws a terminal in place, with one write for each reading, and leaves the last text there', async () => {
    const { stdout } = await watch([1, 2], { rows: 30 });
    const frames = stdout.filter((text) => text.includes('value'));
    assert.equal(frames.length, 2);
    assert.match(frames[1] ?? '', /value 2.*Ctrl-C stops/s);
    assert.ok(stdout.indexOf(frames[1] ?? '') >= stdout.length - 2, 'after it only the cursor is shown again');
  });

  it('goes on after a reading that failed, and says so', async () => {
    const failure = new WireError('Unavailable', 'No agent answered.');
    const printed = await watch([1, failure, failure, 2]);
    assert.deepEqual(printed.stdout, ['value 1\n', '1 is 2 now\n']);
    assert.match(printed.stderr, /^No agent answered\..*\nIt works again\.\n$/);
    const drawn = await watch([1, failure, 2], { rows: 30 });
    assert.match(drawn.stdout.join(''), /value 1.*as of 20\S+Z: No agent answered\./s);
  });

  it('fails where the first reading does', async () => {
    await assert.rejects(watch([new WireError('Unavailable', 'No agent answered.'), 1]), { code: 'Unavailable' });
  });

  it('takes an interval of at least a second', () => {
    assert.equal(watchIntervalMs(undefined), undefined);
    assert.equal(watchIntervalMs(true), 5_000);
    assert.equal(watchIntervalMs('1m'), 60_000);
    for (const wrong of ['0s', 'x', 'taskcluster-x']) assert.throws(() => watchIntervalMs(wrong), /--watch/);
  });
});
