import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import type { NodeView } from '../../dev/rabbitmq-cluster.ts';
import { findExecutable } from '../../dev/processes.ts';
import { BROKER_START_MS, manage, putVhost } from '../support/broker.ts';
import { builtFile } from '../support/built-agent.ts';
import { useCluster } from '../support/cluster.ts';
import { makeFolder } from '../support/folders.ts';
import { killMarked, markedProcesses } from '../support/leftovers.ts';
import { skipBecause } from '../support/skip.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('a private cluster', function () {
  this.timeout(BROKER_START_MS);
  const cluster = useCluster();

  it('has nodes that share vhosts and users', async () => {
    const [first, , last] = cluster().nodes;
    assert.ok(first !== undefined && last !== undefined);
    await putVhost(first, 'shared');
    await manage(last, 'DELETE', '/vhosts/shared');
    assert.equal(new Set(cluster().nodes.map(({ amqpPort }) => amqpPort)).size, 3);
  });

  it('sees a node that was killed or stopped, and has it back with its data', async () => {
    const [first, second] = cluster().nodes;
    assert.ok(first !== undefined && second !== undefined);
    await second.kill();
    await untilSeen(first, (view) => !isRunning(view, second.nodeName));
    await second.start();
    await second.stop();
    await untilSeen(first, (view) => !isRunning(view, second.nodeName));
    await cluster().restore();
    assert.ok(isRunning(await cluster().viewOf(first), second.nodeName));
  });

  it('gains a node and forgets one', async () => {
    const added = await cluster().add();
    const [first] = cluster().nodes;
    assert.ok(first !== undefined);
    assert.equal((await cluster().viewOf(first)).length, 4);
    await cluster().forget(added);
    assert.equal((await cluster().viewOf(first)).length, 3);
    assert.equal(added.running(), false);
  });

  it('is split by a partition, which Mnesia reports when it has ended', async () => {
    const [first, second, last] = cluster().nodes;
    assert.ok(first !== undefined && second !== undefined && last !== undefined);
    await cluster().partition([last]);
    await untilSeen(first, (view) => isRunning(view, second.nodeName) && !isRunning(view, last.nodeName));
    await untilSeen(last, (view) => isRunning(view, last.nodeName) && !isRunning(view, first.nodeName));
    await cluster().heal();
    await untilSeen(first, (view) => view.some(({ partitions }) => partitions.includes(last.nodeName)));
    await cluster().restore();
    for (const node of cluster().nodes) {
      assert.ok((await cluster().viewOf(node)).every(({ running, partitions }) => running && partitions.length === 0));
    }
  });

  it('pauses the smaller side of a partition when it is set to', async () => {
    const [first, , last] = cluster().nodes;
    assert.ok(first !== undefined && last !== undefined);
    await cluster().handlePartitions('pause_minority');
    await cluster().partition([last]);
    const seen = (): Promise<unknown> =>
      cluster()
        .viewOf(last)
        .catch(() => 'paused');
    await waitUntil(async () => (await seen()) === 'paused', 'the smaller side pauses');
    await cluster().heal();
    await last.ready();
    await untilSeen(first, (view) => isRunning(view, last.nodeName));
  });

  it('dies with a parent that is killed', async function () {
    if (findExecutable('setpriv') === undefined) skipBecause(this, 'this machine has no setpriv');
    const folder = makeFolder('cluster');
    const program = await builtFile('dev/rabbitmq-cluster.js');
    const parent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { startCluster } from ${JSON.stringify(pathToFileURL(program).href)};
         await startCluster({ folder: ${JSON.stringify(folder)}, nodes: 1 });
         console.log('started');
         setInterval(() => undefined, 1000);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    assert.equal(line, 'started');
    const mark = `HOME=${join(folder, 'home')}`;
    assert.ok(markedProcesses(mark).length >= 2, 'a node and epmd');
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    assert.deepEqual(await killMarked(mark, 5000), []);
  });

  async function untilSeen(
    node: Parameters<ReturnType<typeof cluster>['viewOf']>[0],
    isSeen: (view: NodeView[]) => boolean,
  ): Promise<void> {
    await waitUntil(async () => isSeen(await cluster().viewOf(node)), `what ${node.nodeName} has to see`);
  }
});

function isRunning(view: readonly NodeView[], name: string): boolean {
  return view.some((node) => node.name === name && node.running);
}
