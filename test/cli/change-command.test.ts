import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChangeCommandFailed, runChangeCommand } from '../../src/cli/change-command.ts';
import { makeFolder } from '../support/folders.ts';
import { waitUntil } from '../support/watched-installation.ts';

const LONG_MS = 60_000;
const never = new AbortController().signal;

const run = (command: string, { timeoutMs = LONG_MS, signal = never } = {}): Promise<void> =>
  runChangeCommand(command, { env: { ...process.env, GREETING: 'hello' }, timeoutMs, signal });

/** Whether a process runs; one that ended and was not waited for does not. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('the command that a change starts', () => {
  it('runs in a shell with the environment', async () => {
    const path = join(makeFolder('command'), 'out');
    await run(`echo "$GREETING" > ${path} && exit 0`);
    assert.equal(readFileSync(path, 'utf8'), 'hello\n');
  });

  it('fails with its exit code, its signal, or as a command that does not exist', async () => {
    await assert.rejects(run('exit 3'), new ChangeCommandFailed('The command failed with exit code 3.'));
    await assert.rejects(run('kill -KILL $$'), /was ended by SIGKILL/);
    await assert.rejects(run('no-such-command 2> /dev/null'), /exit code 127/);
  });

  it('is ended with all that it has started when it takes too long, also if it ignores SIGTERM', async () => {
    const path = join(makeFolder('command'), 'pid');
    const hanging = `(trap '' TERM; echo $$ > ${path}; while :; do sleep 0.2; done) & echo $! > ${path}; wait`;
    await assert.rejects(run(hanging, { timeoutMs: 1000 }), /took longer than 1 s and was ended/);
    const pid = Number(readFileSync(path, 'utf8'));
    await waitUntil(() => !isRunning(pid), 'the end of what the command has started');
  });

  it('is ended by the signal', async () => {
    const path = join(makeFolder('command'), 'pid');
    const stopping = new AbortController();
    const running = run(`echo $$ > ${path}; sleep 600; true`, { signal: stopping.signal });
    const rejected = assert.rejects(running, /No longer/);
    await waitUntil(() => existsSync(path) && readFileSync(path, 'utf8') !== '', 'the start of the command');
    stopping.abort(new Error('No longer.'));
    await rejected;
    await waitUntil(() => !isRunning(Number(readFileSync(path, 'utf8'))), 'the end of the command');
    await assert.rejects(run(`echo 1 > ${path}-2`, { signal: stopping.signal }), /No longer/);
    assert.ok(!existsSync(`${path}-2`));
  });

  it('may leave a process in the background', async () => {
    const path = join(makeFolder('command'), 'pid');
    await run(`sleep 600 & echo $! > ${path}`);
    const pid = Number(readFileSync(path, 'utf8'));
    assert.ok(isRunning(pid));
    process.kill(pid);
  });
});
