import assert from 'node:assert/strict';
import { Interrupted } from '../../src/cli/define-command.ts';
import { readSecret, type SecretInput } from '../../src/cli/read-secret.ts';

const { signal } = new AbortController();

/** A terminal on which this is typed, and the modes that it was set to. */
function terminal(...typed: readonly string[]): SecretInput & { readonly modes: boolean[] } {
  const modes: boolean[] = [];
  return {
    isTTY: true,
    modes,
    setRawMode: (isRaw) => modes.push(isRaw),
    async *[Symbol.asyncIterator]() {
      for (const chunk of typed) yield chunk;
    },
  };
}

describe('readSecret', () => {
  it('reads a pipe to its end, without one newline at the end', async () => {
    const pipe = {
      async *[Symbol.asyncIterator]() {
        yield Buffer.from('ab\nc');
        yield Buffer.from('d\n\n');
      },
    };
    const secret = await readSecret(pipe, () => assert.fail('A pipe is not asked.'), signal);
    assert.equal(secret.reveal(), 'ab\ncd\n');
  });

  it('lets a terminal show nothing of it, and takes it until Enter', async () => {
    const typed = terminal('ab', 'cx\u007f', 'd\rmore');
    let asked = 0;
    const secret = await readSecret(typed, () => (asked += 1), signal);
    assert.equal(secret.reveal(), 'abcd');
    assert.equal(asked, 1);
    assert.deepEqual(typed.modes, [true, false]);
  });

  it('stops at Ctrl-C and lets the terminal show again what is typed', async () => {
    const typed = terminal('abc\u0003');
    await assert.rejects(
      readSecret(typed, () => undefined, signal),
      Interrupted,
    );
    assert.deepEqual(typed.modes, [true, false]);
  });
});
