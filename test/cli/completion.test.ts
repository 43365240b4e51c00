import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { COMMANDS } from '../../src/cli/commands.ts';
import { runCommandLine } from '../support/command-line.ts';

async function scriptFor(shell: string): Promise<string> {
  const { exited, stdout, stderr } = await runCommandLine(['completion', shell], {});
  assert.equal(await exited, 0, stderr());
  return stdout();
}

describe('completion', () => {
  it('completes commands, subcommands, choices and options in bash', async () => {
    const script = await scriptFor('bash');
    const completed = (...words: string[]): string[] => {
      const typed = words.map((word) => `'${word}'`).join(' ');
      const ask = `COMP_WORDS=(pulse-agent ${typed}); COMP_CWORD=${words.length}; _pulse_agent; echo "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-euc', `${script}\n${ask}`], { encoding: 'utf8' })
        .trim()
        .split(' ');
    };
    assert.deepEqual(completed('re'), ['release', 'revoke']);
    assert.deepEqual(completed('config', ''), ['check', 'show', '--json', '--help']);
    assert.deepEqual(completed('config', 'show', '--c'), ['--changed']);
    assert.deepEqual(completed('revoke', 'taskcluster-builds', '--d'), ['--direct']);
    assert.deepEqual(completed('--json', 'completion', ''), ['bash', 'zsh', 'fish', '--json', '--help']);
    assert.deepEqual(completed('claim', 'x', '--'), completed('claim', '--'));
    assert.ok(Object.keys(COMMANDS).every((name) => completed('').includes(name)));
  });

  for (const shell of ['zsh', 'fish']) {
    it(`has every command and its options for ${shell}`, async () => {
      const script = await scriptFor(shell);
      for (const name of Object.keys(COMMANDS)) assert.match(script, new RegExp(`\\b${name}\\b`));
      assert.match(script, /no-end-to-end/);
    });
  }

  it('names the shells for any other', async () => {
    const { exited, stderr } = await runCommandLine(['completion', 'csh'], {});
    assert.equal(await exited, 2);
    assert.match(stderr(), /bash, zsh, fish/);
  });
});
