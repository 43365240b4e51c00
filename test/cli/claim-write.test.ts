import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connect } from 'amqplib';
import { clientEnvironment, REVOKER, teamNamespace, useInstallation } from '../support/agent.ts';
import { cutConnections, openConnection } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { type CommandResult, type CommandRun, runCommandLine, runToEnd } from '../support/command-line.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeFolder } from '../support/folders.ts';
import { skipBecause } from '../support/skip.ts';
import { waitUntil } from '../support/watched-installation.ts';

/** A program that knows nothing of leases: it reads its URL from a file, again at SIGHUP and after a lost connection. */
const CONSUMER = `
  import { readFileSync } from 'node:fs';
  import { connect } from 'amqplib';

  const [file, queue, exchange] = process.argv.slice(2);
  const open = async (before) => {
    const url = readFileSync(file, 'utf8').trim();
    const connection = await connect(url);
    let isReplaced = false;
    connection.on('error', () => {});
    connection.on('close', () => isReplaced || reopen());
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    await channel.assertQueue(queue);
    await channel.assertExchange(exchange, 'fanout');
    await channel.bindQueue(queue, exchange, '');
    await channel.prefetch(10);
    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message === null) return;
      console.log('got ' + message.content);
      channel.ack(message);
    });
    console.log('connected as ' + new URL(url).username);
    await before?.close().catch(() => {});
    return {
      async close() {
        isReplaced = true;
        await channel.cancel(consumerTag);
        await channel.close();
        await connection.close();
      },
    };
  };
  let current;
  const reopen = () => {
    current = Promise.resolve(current).catch(() => {}).then((before) => open(before));
  };
  process.on('SIGHUP', () => {
    console.log('SIGHUP');
    reopen();
  });
  process.on('SIGTERM', async () => {
    await (await current)?.close();
    process.exit(0);
  });
  reopen();
`;

/** The changes of credentials through which the consumer goes. */
const CHANGES = 5;

describe('claim --keep --write', function () {
  this.timeout(120_000);
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 3 } });

  const start = (...args: string[]): Promise<CommandRun> =>
    runCommandLine(['claim', ...args], clientEnvironment(installation()));

  const run = (args: readonly string[], clientId?: string): Promise<CommandResult> =>
    runToEnd(args, clientEnvironment(installation(), clientId));

  const place = (): { folder: string; file: string } => {
    const folder = makeFolder('written');
    return { folder, file: join(folder, 'amqp-url') };
  };

  const eventsOf = ({ stdout }: CommandRun): Record<string, unknown>[] =>
    stdout()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  const names = (running: CommandRun, since = 0): unknown[] =>
    eventsOf(running)
      .slice(since)
      .map(({ event }) => event);

  concurrentTests((it) => {
    it('a program that reads the file again at SIGHUP gets every message, through changes and a lost connection', async () => {
      const { broker, vhost, config } = installation();
      const namespace = teamNamespace();
      const { folder, file } = place();
      const [queue, exchange] = [`queue/${namespace}/jobs`, `exchange/${namespace}/jobs`];
      const script = join(folder, 'consumer.mjs');
      const amqplib = resolve('node_modules/amqplib/channel_api.js');
      writeFileSync(script, CONSUMER.replace("'amqplib'", `'${amqplib}'`));
      const program = [process.execPath, script, file, queue, exchange];
      const running = await start(namespace, '--keep', '--write', file, '--signal', 'HUP', '--', ...program);
      await running.printed('connected as');
      assert.equal(statSync(file).mode & 0o777, 0o600);

      const publisher = await (await openConnection(vhost.amqpUrl)).createConfirmChannel();
      const count = (text: string): number => running.stdout().split(text).length - 1;
      let sent = 0;
      let isCut = false;
      await waitUntil(async () => {
        for (let more = 0; more < 5; more += 1) publisher.publish(exchange, '', Buffer.from(`message-${(sent += 1)}.`));
        await publisher.waitForConfirms();
        if (count('SIGHUP') === 2 && !isCut) {
          isCut = true;
          for (const slot of [1, 2]) await cutConnections(broker, `${config.usernamePrefix}${namespace}-${slot}`);
        }
        return count('SIGHUP') >= CHANGES && count('connected as') > CHANGES + 1;
      }, `${CHANGES} changes of the credentials`);
      for (const slot of [1, 2]) assert.ok(count(`connected as ${config.usernamePrefix}${namespace}-${slot}`) > 1);
      await waitUntil(() => count(`got message-${sent}.`) > 0, 'the last message');
      running.signal('SIGTERM');
      assert.equal(await running.exited, 0, running.stderr());
      const lost = Array.from({ length: sent }, (_, index) => `got message-${index + 1}.`).filter(
        (text) => !count(text),
      );
      assert.deepEqual(lost, []);
      assert.equal((await publisher.checkQueue(queue)).messageCount, 0);
      assert.deepEqual(readdirSync(folder), ['consumer.mjs'], 'the file is gone');
    });

    it('a command runs after each change, and again after it failed or took too long', async () => {
      const namespace = teamNamespace();
      const { folder, file } = place();
      const [fail, hang, users] = ['fail', 'hang', 'users'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ];
      writeFileSync(fail, '');
      const command = `echo printed; test ! -e ${fail} || exit 3; test ! -e ${hang} || sleep 600
        grep -o '"connectionString":"amqp://[^:]*' "$PULSE_CONNECTION_FILE" >> ${users}`;
      const writing = ['--write', file, '--format', 'json', '--on-change', command, '--on-change-timeout', '1s'];
      const running = await start(namespace, '--keep', '--json', ...writing);
      await running.printed('"notify-failing"');
      assert.deepEqual(names(running).slice(0, 3), ['claimed', 'written', 'notify-failing']);
      const failing = eventsOf(running)[2] as { error: unknown; file: string; failures: number; retryAt: string };
      assert.deepEqual(failing.error, { code: 'CommandFailed', message: 'The command failed with exit code 3.' });
      assert.equal(failing.file, file);
      assert.ok(Number.isFinite(Date.parse(failing.retryAt)));

      rmSync(fail);
      writeFileSync(hang, '');
      await running.printed('The command took longer than 1 s and was ended.');
      rmSync(hang);
      await running.printed('"notified"');
      const { connectionString, connectionStrings, reclaimAt } = JSON.parse(readFileSync(file, 'utf8')) as {
        connectionString: string;
        connectionStrings: string[];
        reclaimAt: string;
      };
      assert.deepEqual(connectionStrings, [connectionString]);
      assert.ok(Date.parse(reclaimAt) > Date.now() - 60_000);
      await (await connect(connectionString)).close();

      const before = names(running).length;
      await waitUntil(() => names(running, before).filter((event) => event === 'notified').length >= 2, 'two changes');
      running.signal('SIGTERM');
      assert.equal(await running.exited, 0);
      const seen = readFileSync(users, 'utf8').trim().split('\n');
      for (const slot of [1, 2])
        assert.ok(
          seen.some((user) => user.endsWith(`${namespace}-${slot}`)),
          seen.join(),
        );
      assert.ok(!existsSync(file));
      assert.match(running.stderr(), /^printed\n/, 'standard output has events only');
      assert.ok(!`${running.stdout()}${running.stderr()}`.includes(new URL(connectionString).password));
    });

    it('the file goes when the lease is lost', async () => {
      const namespace = teamNamespace();
      const { folder, file } = place();
      const running = await start(namespace, '--keep', '--write', file);
      await running.printed('written');
      await run(['revoke', namespace, '--until', '1h'], REVOKER);
      assert.equal(await running.exited, 3);
      assert.match(running.stderr(), /is lost: the namespace is being deleted or is revoked/);
      assert.deepEqual(readdirSync(folder), []);
    });

    it('with --leave it stays, and its credentials work', async () => {
      const namespace = teamNamespace();
      const { file } = place();
      const running = await start(namespace, '--keep', '--write', file, '--format', 'env', '--leave');
      await running.printed('written');
      running.signal('SIGINT');
      assert.equal(await running.exited, 0, running.stderr());
      const read = ['-c', `. ${file} && printf '%s %s' "$PULSE_CONNECTION_STRING" "$PULSE_CONNECTION_STRINGS"`];
      const [one, all] = execFileSync('sh', read, { encoding: 'utf8' }).split(' ');
      assert.equal(one, all);
      await (await connect(one ?? '')).close();
    });

    it('a program finds the file when it starts, and its exit ends everything', async () => {
      const { file } = place();
      const script = 'test -s "$PULSE_CONNECTION_FILE" && test ! -e "$PULSE_CONNECTION_FILE.run" && exit 7';
      const onChange = `touch ${file}.run`;
      const writing = ['--write', file, '--on-change', onChange];
      const running = await start(teamNamespace(), '--keep', ...writing, '--', 'sh', '-c', script);
      assert.equal(await running.exited, 7, running.stderr());
      assert.ok(!existsSync(file));
    });

    it('a second signal ends it without waiting for the command, and the file goes', async () => {
      const { file } = place();
      const pidFile = `${file}.pid`;
      const onChange = `trap '' TERM; echo $$ > ${pidFile}; while :; do sleep 0.2; done`;
      const running = await start(teamNamespace(), '--keep', '--write', file, '--on-change', onChange);
      await waitUntil(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '', 'the start of the command');
      running.signal('SIGTERM');
      // Within half a second it is taken for the same signal.
      const again = setInterval(() => running.signal('SIGTERM'), 200);
      addCleanup(() => clearInterval(again));
      assert.equal(await running.exited, 143);
      clearInterval(again);
      assert.ok(!existsSync(file));
      const pid = Number(readFileSync(pidFile, 'utf8'));
      await waitUntil(() => !existsSync(`/proc/${pid}`), 'the end of the command');
    });

    it('a place that cannot be is refused before the claim', async () => {
      const namespace = teamNamespace();
      const file = join(makeFolder('written'), 'missing', 'file');
      const { exitCode, stderr } = await run(['claim', namespace, '--keep', '--write', file]);
      assert.equal(exitCode, 2);
      assert.match(stderr, /^pulse-agent: The file \S+ cannot be written \(ENOENT\): choose another place\.\n$/);
      assert.equal((await run(['get', namespace])).exitCode, 3);
    });

    for (const [what, args, sentence] of [
      ['--write without --keep', ['--write', 'file'], /--write needs --keep/],
      ['--signal without a program', ['--keep', '--write', 'file', '--signal', 'HUP'], /needs a program/],
    ] as const) {
      it(`refuses ${what}`, async () => {
        const { exitCode, stderr } = await run(['claim', 'taskcluster-x', ...args]);
        assert.equal(exitCode, 2);
        assert.match(stderr, sentence);
      });
    }
  });

  it('on a full disk the file stays as it was, and follows when there is room', async function () {
    const namespace = teamNamespace();
    const { folder, file } = place();
    if (!mountSmallDisk(folder)) skipBecause(this, 'this user may not mount a small disk');
    const running = await start(namespace, '--keep', '--json', '--write', file, '--on-change', 'true');
    await running.printed('"notified"');
    const before = readFileSync(file, 'utf8');
    writeFileSync(join(folder, 'filler'), 'x');
    await running.printed('"write-failing"');
    const failing = eventsOf(running).find(({ event }) => event === 'write-failing');
    assert.deepEqual(failing?.['error'], {
      code: 'ENOSPC',
      message: `The file ${file} cannot be written (ENOSPC).`,
    });
    assert.equal(readFileSync(file, 'utf8'), before);
    assert.deepEqual(readdirSync(folder).toSorted(), ['amqp-url', 'filler']);
    const since = eventsOf(running).length;
    rmSync(join(folder, 'filler'));
    await waitUntil(() => names(running, since).includes('notified'), 'the next write');
    assert.notEqual(readFileSync(file, 'utf8'), before);
    running.signal('SIGTERM');
    assert.equal(await running.exited, 0);

    for (const name of ['one', 'two']) writeFileSync(join(folder, name), 'x');
    const { exitCode, stderr } = await run(['claim', namespace, '--keep', '--write', file]);
    assert.equal(exitCode, 4, stderr);
    assert.match(stderr, /^pulse-agent: The file \S+ cannot be written \(ENOSPC\)\.\n$/);
  });
});

/** Mounts a disk for two small files; false where that is not allowed. */
function mountSmallDisk(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return false;
  }
  addCleanup(() => void execFileSync('umount', [folder]));
  return true;
}
