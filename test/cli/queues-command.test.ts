import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { type CommandResult, jsonLines, runToEnd } from '../support/command-line.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { claimTeam, collectEvents, makeWatchedInstallation, type Team } from '../support/watched-installation.ts';

interface Row {
  readonly queue: string;
  readonly state: string;
  readonly messages?: number;
  readonly messagesPerMinute?: number;
  readonly warnedSince?: string;
  readonly next?: {
    readonly action: string;
    readonly unit: string;
    readonly at: number;
    readonly reachedAt?: string | null;
  };
}

/** More than the tests publish, however long they take. */
const DELETE_AT = 100_000;

describe('pulse-agent queues', function () {
  this.timeout(180_000);
  useSharedBroker();
  let installation: TestInstallation;
  let team: Team;
  let other: Team;
  const name = (queue: string): string => `queue/${team.namespace}/${queue}`;

  before('start an agent, and fill queues', async function () {
    this.timeout(300_000);
    installation = await makeWatchedInstallation({
      settings: { deleteAtMessages: DELETE_AT, exemptQueues: ['queue/[^/]+/exempt'] },
    });
    await installation.start();
    const events = await collectEvents(installation);
    team = await claimTeam(installation);
    other = await claimTeam(installation);
    for (const queue of ['warned', 'small', 'exempt']) await team.channel.assertQueue(name(queue));
    await team.channel.assertQueue(name('stream'), { arguments: { 'x-queue-type': 'stream' } });
    await team.channel.assertQueue(name('quorum'), { arguments: { 'x-queue-type': 'quorum' } });
    await other.channel.assertQueue(`queue/${other.namespace}/other`);
    await team.fill(name('small'), 3);
    await team.fill(name('exempt'), 40);
    await team.fill(name('warned'), 30);
    await events.of('queue.warning', name('warned'));
  });
  after('remove the installation', async () => installation.remove());

  const run = (...args: string[]): Promise<CommandResult> => runToEnd(args, installation.environment);

  async function list(...args: string[]): Promise<Row[]> {
    const { exitCode, stdout, stderr } = await run('queues', '--json', ...args);
    assert.equal(exitCode, 0, stderr);
    return jsonLines<Row>(stdout);
  }

  /** Publishes until `work` is done. */
  async function growing<T>(queues: readonly string[], work: () => Promise<T>): Promise<T> {
    const ending = new AbortController();
    const grow = async (): Promise<void> => {
      while (!ending.signal.aborted) {
        for (const queue of queues) await team.fill(queue, 2);
        await delay(100, undefined, { signal: ending.signal }).catch(() => undefined);
      }
    };
    const grown = grow();
    try {
      return await work();
    } finally {
      ending.abort();
      await grown;
    }
  }

  // Each measures for 10 s.
  concurrentTests((it) => {
    it('says how fast queues grow, since when their owners are warned, and what follows when', async () => {
      const rows = await growing([name('warned'), name('quorum')], () => list(team.namespace));
      const row = (queue: string): Row | undefined => rows.find((one) => one.queue === name(queue));
      const warned = row('warned');
      assert.equal(warned?.state, 'warned');
      assert.ok(Date.parse(warned.warnedSince ?? '') < Date.now(), warned.warnedSince);
      assert.ok((warned.messages ?? 0) > 30);
      assert.ok((warned.messagesPerMinute ?? 0) > 0);
      assert.equal(warned.next?.action, 'delete');
      assert.equal(warned.next.at, DELETE_AT);
      assert.ok(Date.parse(warned.next.reachedAt ?? '') > Date.now(), warned.next.reachedAt ?? 'null');
      // Its listing is up to 5 s old, and the measurement takes two such periods.
      assert.ok((row('quorum')?.messagesPerMinute ?? 0) > 0);
      assert.equal(row('small')?.messagesPerMinute, 0);
      assert.deepEqual(row('small')?.next, { action: 'warn', unit: 'messages', at: 20, reachedAt: null });
      assert.deepEqual([row('exempt')?.state, row('exempt')?.next], ['exempt', undefined]);
      const stream = row('stream');
      assert.ok(
        stream !== undefined && !('messages' in stream) && !('messagesPerMinute' in stream),
        'unknown is not 0',
      );
      assert.ok(!rows.some(({ queue }) => queue.includes(other.namespace)));
    });

    it('is in a plan: the queues whose owners are warned', async () => {
      const plan = async (...args: string[]): Promise<string> => (await run('plan', ...args)).stdout;
      const [json, text] = await growing([name('warned')], () =>
        Promise.all([plan('--json', '--namespace', team.namespace), plan('--namespace', team.namespace)]),
      );
      const { warned, queues } = JSON.parse(json) as { readonly warned: Row[]; readonly queues: unknown[] };
      assert.deepEqual(queues, []);
      const [{ next } = {}] = warned.filter(({ queue }) => queue === name('warned'));
      assert.equal(next?.at, DELETE_AT);
      assert.ok(Date.parse(next.reachedAt ?? '') > Date.now(), next.reachedAt ?? 'null');
      assert.match(
        text,
        new RegExp(
          `^owner is warned +${name('warned')} +since 20\\S+Z, \\d+ messages.*, \\+\\d+ a minute; deleted at ${DELETE_AT} messages: in .*, at 20`,
          'm',
        ),
      );
    });
  });

  it('knows no rate without a measurement', async () => {
    const rows = await list('--over', '0s', '--all');
    assert.ok(rows.some(({ queue }) => queue.includes(other.namespace)));
    assert.ok(rows.every((row) => !('messagesPerMinute' in row)));
    const warned = rows.find(({ queue }) => queue === name('warned'));
    assert.deepEqual(warned?.next, { action: 'delete', unit: 'messages', at: DELETE_AT });
  });

  it('sorts, and shows the first ones', async () => {
    const names = async (...args: string[]): Promise<string[]> =>
      (await list(team.namespace, '--over', '0s', ...args)).map(({ queue }) => queue);
    const depths = (await list(team.namespace, '--over', '0s')).map(({ messages }) => messages ?? -1);
    assert.deepEqual(
      depths,
      depths.toSorted((a, b) => b - a),
    );
    assert.equal(depths.length, 5);
    assert.deepEqual(await names('--limit', '2'), (await names()).slice(0, 2));
    assert.deepEqual(await names('--sort', 'warned', '--limit', '1'), [name('warned')]);
    const warned = await names('--warned');
    assert.ok(warned.includes(name('warned')) && !warned.includes(name('small')), warned.join());
    assert.deepEqual((await names('--sort', 'queue')).toSorted(), await names('--sort', 'queue'));
  });

  it('is a table for people', async () => {
    const { stdout, stderr } = await run('queues', team.namespace, '--over', '1s', '--sort', 'queue', '--limit', '2');
    assert.match(stderr, /^Measuring for 1 s/);
    assert.match(stdout, /^QUEUE +MESSAGES +SIZE +PER MINUTE +WARNED SINCE +NEXT +WHEN$/m);
    assert.match(stdout, /exempt +40 .* exempt$/m);
    assert.match(stdout, /\n\n3 more; --all shows them\.\n$/);
    const none = await run('queues', 'taskcluster-absent', '--over', '0s');
    assert.deepEqual([none.exitCode, none.stdout], [0, 'There are no such queues.\n']);
  });

  const faults: readonly (readonly [string, string[], RegExp])[] = [
    ['an order', ['--sort', 'size'], /--sort as one of messages, bytes, growth/],
    ['a number', ['--limit', '0'], /--limit as a whole number/],
    ['a duration', ['--over', 'long'], /--over as a duration/],
  ];
  for (const [what, args, sentence] of faults) {
    it(`refuses ${what} that cannot be`, async () => {
      const { exitCode, stderr } = await run('queues', ...args);
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, sentence);
    });
  }

  it('--help has examples', async () => {
    const { exitCode, stdout } = await run('queues', '--help');
    assert.equal(exitCode, 0);
    assert.match(stdout, /\nExamples:\n {2}# .+\n {2}pulse-agent queues/);
  });
});
