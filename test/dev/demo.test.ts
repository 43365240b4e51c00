import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';
import { killMarked, markedProcesses } from '../support/leftovers.ts';
import { collectOutput } from '../support/process-output.ts';
import { waitUntil } from '../support/watched-installation.ts';

/** The time-out for a broker's start on a busy machine, in ms. */
const START_MS = 120_000;

describe('npm run demo', function () {
  this.timeout(2 * START_MS);

  it('ends everything that it started at a SIGTERM to npm alone', async () => {
    const name = unique('DEMO_OF').replaceAll('-', '_');
    const mark = `${name}=x`;
    const child = spawn('npm', ['run', 'demo', '--', '--keep'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, [name]: 'x' },
    });
    const { waitFor, output } = collectOutput(child);
    addCleanup(async () => void (await killMarked(mark, 0)));
    await waitFor('• Claim taskcluster-team-a with', { stream: 'output', patienceMs: START_MS });
    const started = markedProcesses(mark).map(({ command }) => command);
    for (const part of ['dev/demo.ts', 'epmd', 'beam']) {
      assert.ok(
        started.some((command) => command.includes(part)),
        started.join('\n'),
      );
    }
    child.kill('SIGTERM');
    await waitUntil(() => markedProcesses(mark).length === 0, 'everything that the demo started has exited');
    assert.match(output(), /• Stop everything\n(.*\n)* {2}ok/);
  });
});
