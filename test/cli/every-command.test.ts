import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../../src/cli/commands.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { runProgram } from '../../src/cli/program.ts';

/** What operators and authors of clients read. */
const READ_DOCUMENTS = ['README.md', 'docs/install.md', 'docs/operations.md', 'docs/recover.md', 'docs/client.md'];

async function run(args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({ write: (text: string) => (written[name] += text) });
  const terminal = {
    env: {},
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    signal: new AbortController().signal,
  };
  return { exitCode: await runProgram(args, terminal), ...written };
}

/** The commands that a help lists; none for a command without subcommands. */
function listedIn(help: string): string[] {
  const [, list = ''] = /^Commands:\n((?: {2}.*\n)+)/m.exec(help) ?? [];
  return [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
}

/** The text of all other tests. */
function testsText(): string {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' });
  const own = join('cli', 'every-command.test.ts');
  return files
    .filter((file) => file.endsWith('.test.ts') && file !== own)
    .map((file) => readFileSync(join('test', file), 'utf8'))
    .join('\n');
}

describe('every command', () => {
  it('is in the list of the help', async () => {
    assert.deepEqual(listedIn((await run(['--help'])).stdout), Object.keys(COMMANDS));
  });

  for (const name of Object.keys(COMMANDS)) {
    it(`${name}: has examples of itself and --json in its help, and so has each of its own commands`, async () => {
      const check = async (words: readonly string[]): Promise<void> => {
        const { exitCode, stdout, stderr } = await run([...words, '--help']);
        assert.deepEqual([exitCode, stderr], [EXIT.ok, '']);
        assert.match(stdout, /^ +--json /m);
        const [, examples = ''] = /^Examples:\n([^]+)$/m.exec(stdout) ?? [];
        // A long command line goes on in the next line.
        const lines = examples
          .trimEnd()
          .replaceAll(/\\\n +/g, '')
          .split('\n');
        assert.ok(lines.length > 0 && lines.length % 2 === 0, examples);
        for (const [index, line] of lines.entries()) {
          if (index % 2 === 0) assert.match(line, /^ {2}# \S/);
          else assert.match(line, /\bpulse-agent /);
        }
        assert.ok(examples.includes(`pulse-agent ${words.join(' ')}`), examples);
        for (const own of listedIn(stdout)) await check([...words, own]);
      };
      await check([name]);
    });

    it(`${name}: with --json, prints a fault of its arguments as one document, and exits with 2`, async () => {
      const { exitCode, stdout, stderr } = await run([name, '--no-such-option', '--json']);
      assert.deepEqual([exitCode, stdout], [EXIT.usage, '']);
      assert.match(stderr, /^[^\n]+\n$/);
      const { error } = JSON.parse(stderr);
      assert.deepEqual([error.code, error.retryable], ['UsageFault', false]);
      // Of several faults, such as a required option that is missing, one is named.
      assert.ok(error.message.endsWith(`See pulse-agent ${name} --help.`), stderr);
    });
  }

  it('is in a document for its users', () => {
    const documents = READ_DOCUMENTS.map((path) => readFileSync(path, 'utf8')).join('\n');
    const missing = Object.keys(COMMANDS).filter((name) => !new RegExp(`pulse-agent ${name}\\b`).test(documents));
    assert.deepEqual(missing, []);
  });

  it('is run by a test', () => {
    const tests = testsText();
    const missing = Object.keys(COMMANDS).filter(
      (name) => !new RegExp(`\\['${name}'|pulse-agent ${name}\\b`).test(tests),
    );
    assert.deepEqual(missing, []);
  });
});
