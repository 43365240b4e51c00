import assert from 'node:assert/strict';
import { type CommandEntry, type DefineCommand, Interrupted } from '../../src/cli/define-command.ts';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { runProgram } from '../../src/cli/program.ts';
import { BrokerRefused, RequestConflict } from '../../src/client/client-errors.ts';
import { AgentError } from '../../src/util/agent-errors.ts';

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly define?: DefineCommand;
  readonly signal?: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
  readonly isTTY?: boolean;
}

const LOADED: string[] = [];

async function run(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => (written[name] += text),
    isTTY: options.isTTY ?? false,
    hasColors: () => true,
  });
  const nothing: DefineCommand = (command) => void command.action(() => undefined);
  const entry = (name: string, define: DefineCommand): CommandEntry => ({
    summary: `does what ${name} says`,
    load: async () => {
      LOADED.push(name);
      return await Promise.resolve(define);
    },
  });
  const exitCode = await runProgram(
    args,
    {
      env: options.env ?? {},
      stdout: stream('stdout'),
      stderr: stream('stderr'),
      signal: options.signal ?? new AbortController().signal,
    },
    { work: entry('work', options.define ?? nothing), other: entry('other', nothing) },
  );
  return { exitCode, ...written };
}

function failing(error: Error): DefineCommand {
  return (command) => {
    command.action(() => {
      throw error;
    });
  };
}

describe('the command line', () => {
  beforeEach(() => void LOADED.splice(0));

  it('loads the command that runs and no other', async () => {
    assert.equal((await run(['work'])).exitCode, EXIT.ok);
    assert.deepEqual(LOADED, ['work']);
    await run(['--help']);
    assert.deepEqual(LOADED, ['work']);
  });

  it('lists commands and exit codes', async () => {
    const { exitCode, stdout, stderr } = await run(['--help']);
    assert.equal(exitCode, EXIT.ok);
    assert.match(stdout, /work {2,}does what work says/);
    assert.match(stdout, /Exit codes: 0 done/);
    assert.equal(stderr, '');
  });

  it('without a command, prints the list to standard error', async () => {
    const { exitCode, stdout, stderr } = await run([]);
    assert.equal(exitCode, EXIT.usage);
    assert.equal(stdout, '');
    assert.match(stderr, /does what other says/);
  });

  it('shows the help of a command both ways', async () => {
    const asked = await run(['work', '--help']);
    assert.match(asked.stdout, /Does what work says\./);
    assert.match(asked.stdout, /--json/);
    assert.deepEqual(await run(['help', 'work']), asked);
  });

  it('suggests a similar name for a mistyped command or option', async () => {
    assert.deepEqual(await run(['wrok']), {
      exitCode: EXIT.usage,
      stdout: '',
      stderr: "pulse-agent: Unknown command 'wrok'. Did you mean work? See pulse-agent --help.\n",
    });
    const { exitCode, stderr } = await run(['work', '--jsn']);
    assert.equal(exitCode, EXIT.usage);
    assert.equal(stderr, "pulse-agent: Unknown option '--jsn'. Did you mean --json? See pulse-agent work --help.\n");
  });

  it('refuses too many arguments', async () => {
    const { exitCode, stderr } = await run(['work', 'hard']);
    assert.equal(exitCode, EXIT.usage);
    assert.match(stderr, /^pulse-agent: Too many arguments for 'work'\./);
  });

  it('prints a result as text, and with --json before or after the command as a line of JSON', async () => {
    const define: DefineCommand = (command, { output }) => {
      command.action(() => {
        output.note('it takes a moment');
        output.print({ done: true }, () => 'It is done.');
      });
    };
    assert.deepEqual(await run(['work'], { define }), {
      exitCode: EXIT.ok,
      stdout: 'It is done.\n',
      stderr: 'it takes a moment\n',
    });
    for (const args of [
      ['work', '--json'],
      ['--json', 'work'],
    ]) {
      assert.deepEqual(await run(args, { define }), { exitCode: EXIT.ok, stdout: '{"done":true}\n', stderr: '' });
    }
  });

  it('takes --json after -- as an argument', async () => {
    const define: DefineCommand = (command, { output }) => {
      command.argument('<text>').action((text) => output.print({ text }, () => `text ${text}`));
    };
    assert.equal((await run(['work', '--', '--json'], { define })).stdout, 'text --json\n');
  });

  it('has colours on a terminal only, and not with NO_COLOR or --json', async () => {
    const define: DefineCommand = (command, { output }) => {
      command.action(() => output.print('x', (style) => style.good('fine')));
    };
    assert.equal((await run(['work'], { define, isTTY: true })).stdout, '\u001b[32mfine\u001b[39m\n');
    assert.equal((await run(['work'], { define })).stdout, 'fine\n');
    assert.equal((await run(['work'], { define, isTTY: true, env: { NO_COLOR: '1' } })).stdout, 'fine\n');
    assert.equal((await run(['work', '--json'], { define, isTTY: true })).stdout, '"x"\n');
  });

  it('exits with the code that a command sets', async () => {
    const define: DefineCommand = (command, context) => {
      command.action(() => void (context.exitCode = EXIT.failed));
    };
    assert.equal((await run(['work'], { define })).exitCode, EXIT.failed);
  });

  const FAILURES: readonly [error: Error, exitCode: number][] = [
    [new AgentError('ConfigurationFault', 'Set A.\nSet B.'), EXIT.usage],
    [new AgentError('BrokerUnavailable', 'Start the broker.'), EXIT.unavailable],
    [new AgentError('BrokerMarked', 'Adopt the broker.'), EXIT.refused],
    [new RequestConflict('RequestConflict', 'Try later.'), EXIT.unavailable],
    [new RequestConflict('RequestConflict', 'Revoked.', { retryable: false }), EXIT.refused],
  ];
  for (const [error, code] of FAILURES) {
    it(`prints "${error.message.split('\n')[0]}" and exits with ${code}`, async () => {
      const { exitCode, stdout, stderr } = await run(['work'], { define: failing(error) });
      assert.equal(exitCode, code);
      assert.equal(stdout, '');
      assert.equal(stderr, error.message.replaceAll(/^/gm, 'pulse-agent: ') + '\n');
    });
  }

  it('adds advice to errors whose message has none', async () => {
    const { exitCode, stderr } = await run(['work'], { define: failing(new BrokerRefused('Wrong password.')) });
    assert.equal(exitCode, EXIT.refused);
    assert.equal(stderr, 'pulse-agent: Wrong password: check PULSE_AGENT_URL and --id.\n');
  });

  it('prints a failure as JSON with --json, with its details', async () => {
    const error = new RequestConflict('RequestConflict', 'Try later.', { details: { retryAt: 'soon' } });
    const { stderr } = await run(['work', '--json'], { define: failing(error) });
    assert.deepEqual(JSON.parse(stderr), {
      error: { code: 'RequestConflict', message: 'Try later.', retryable: true, details: { retryAt: 'soon' } },
    });
  });

  it('prints neither the stack nor the password of a URL for an unexpected error', async () => {
    const define = failing(new Error('connect to amqp://user:hunter2@broker failed\n  with more'));
    const { exitCode, stderr } = await run(['work'], { define });
    assert.equal(exitCode, EXIT.failed);
    assert.match(stderr, /^pulse-agent: Unexpected error \(connect to amqp:\/\/…@broker failed\)[^\n]*\n$/);
  });

  it('exits with 130 or 143 when it was interrupted, regardless of what the command threw', async () => {
    for (const [name, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const interruption = new AbortController();
      const define: DefineCommand = (command, { signal }) => {
        command.action(() => {
          interruption.abort(new Interrupted(name));
          signal.throwIfAborted();
        });
      };
      assert.equal((await run(['work'], { define, signal: interruption.signal })).exitCode, code);
      assert.equal(
        (await run(['work'], { define: failing(new Error('x')), signal: interruption.signal })).exitCode,
        code,
      );
    }
  });
});
