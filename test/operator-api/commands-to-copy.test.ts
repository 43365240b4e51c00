import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { namespaceCommands, shellWord } from '../../src/operator-api/commands-to-copy.ts';

describe('the commands to copy', () => {
  it('have names that a shell takes as they are', () => {
    for (const name of ['queue/a/b', "it's; rm -rf ~ $(id) `id`", '"\\', '*', '-x', 'two\nlines', '']) {
      const said = execFileSync('sh', ['-c', `printf %s ${shellWord(name)}`], { encoding: 'utf8' });
      assert.equal(said, name);
    }
  });

  it('exempt the queues that are in danger, and invalidate no credentials of what is deleted already', () => {
    const of = (state: 'active' | 'expiring', queues: readonly string[] = []): string[] =>
      namespaceCommands({ namespace: 'taskcluster-a', state }, queues).map(({ command }) => command);
    assert.ok(of('active').includes('pulse-agent revoke taskcluster-a'));
    assert.ok(!of('expiring').some((command) => command.includes('revoke')));
    assert.equal(
      of('active', ["queue/taskcluster-a/it's"]).at(-1),
      String.raw`pulse-agent exempt 'queue/taskcluster-a/it'\''s' --until 24h`,
    );
  });
});
