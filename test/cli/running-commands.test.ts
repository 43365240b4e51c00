import assert from 'node:assert/strict';
import { REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { listenForBrokerEvent } from '../support/broker-event-listener.ts';
import { clientCommands } from '../support/client-commands.ts';
import { jsonLines } from '../support/command-line.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { linesWith } from '../support/test-log.ts';

describe('the commands of a client that go on until they are stopped', () => {
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 4 } });
  const { environment, start, run, runJson } = clientCommands(installation);

  describe('claim --keep', () => {
    const held = (script: string, ...more: string[]): string[] => [
      'claim',
      ...more,
      '--keep',
      '--',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ];

    concurrentTests((it) => {
      it('runs a program that can connect, and exits with its exit code', async () => {
        const script = `
          const { connect } = await import('amqplib');
          const connection = await connect(process.env.PULSE_CONNECTION_STRING);
          await connection.close();
          console.log('connected', process.argv.slice(1).join());
          process.exit(7);`;
        const { exitCode, stdout, stderr } = await run([...held(script, teamNamespace()), '--', '--flag', 'x']);
        assert.equal(exitCode, 7, stderr);
        assert.equal(stdout, 'connected --flag,x\n');
      });

      it('holds the lease while the program runs, forwards signals, and releases with --release', async () => {
        const namespace = teamNamespace();
        const script = `
          process.on('SIGTERM', () => { console.log('got SIGTERM'); process.exit(5); });
          process.on('SIGHUP', () => console.log('got SIGHUP'));
          console.log('up');
          setInterval(() => {}, 1000);`;
        const running = await start(held(script, namespace, '--release'));
        await running.printed('up');
        await installation().logged('request_served', { method: 'claim-namespace', namespace });
        // The first claim began the lease; every rotation brings another one.
        const claims = (): number =>
          linesWith(installation().log, 'request_served', { method: 'claim-namespace', namespace }).length;
        const before = claims();
        await installation().found(() => (claims() > before ? true : undefined));
        running.signal('SIGHUP');
        await running.printed('got SIGHUP');
        running.signal('SIGTERM');
        assert.equal(await running.exited, 5);
        assert.match(running.stdout(), /got SIGTERM/);
        const { exitCode, stdout } = await run(['get', namespace, '--json']);
        assert.ok(exitCode === 3 || jsonLines(stdout)[0]?.['state'] === 'expiring', stdout);
      });

      it('exits with 128 plus the signal that killed the program, as a shell does', async () => {
        const { exitCode } = await run(
          held('process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);', teamNamespace()),
        );
        assert.equal(exitCode, 128 + 9);
      });

      it('stops the program when the lease is lost', async () => {
        const namespace = teamNamespace();
        const running = await start(held('console.log("up"); setInterval(() => {}, 1000);', namespace));
        await running.printed('up');
        await runJson(['revoke', namespace, '--until', '1h'], environment(REVOKER));
        assert.equal(await running.exited, 3);
        assert.match(running.stderr(), /is lost: the namespace is being deleted or is revoked/);
      });

      it('reports a program that does not exist', async () => {
        const { exitCode, stderr } = await run(['claim', teamNamespace(), '--keep', '--', 'no-such-program']);
        assert.equal(exitCode, 2);
        assert.match(stderr, /^pulse-agent: The program no-such-program cannot be started: command not found\.\n$/);
      });

      it('without a program, prints renewals until it is interrupted', async () => {
        const namespace = teamNamespace();
        const running = await start(['claim', namespace, '--keep', '--json']);
        await running.printed('"renewed"');
        // npm forwards what the terminal sends to the whole group.
        running.signal('SIGINT');
        running.signal('SIGINT');
        assert.equal(await running.exited, 0, running.stderr());
        const [first, second] = jsonLines(running.stdout());
        assert.deepEqual([first?.['event'], second?.['event']], ['claimed', 'renewed']);
        assert.ok(!running.stdout().includes('amqp:'));
      });
    });
  });

  describe('watch', () => {
    it('prints the events of one namespace with the credentials of another', async () => {
      const [through, namespace] = [teamNamespace(), teamNamespace()];
      // With --json no note is printed: the broker reports its consumer.
      const watching = await listenForBrokerEvent(installation().broker, 'consumer.created', ({ queue }) =>
        String(queue).startsWith(`queue/${through}/watch-`),
      );
      const running = await start([
        'watch',
        '--through',
        through,
        '--namespace',
        namespace,
        '--json',
        '--type',
        'namespace.claimed',
      ]);
      await watching.received;
      await runJson(['claim', namespace]);
      await running.printed('\n');
      running.signal('SIGINT');
      assert.equal(await running.exited, 0, running.stderr());
      const events = jsonLines(running.stdout());
      assert.deepEqual(
        events.map(({ type, subject }) => [type, subject]),
        [['namespace.claimed', namespace]],
      );
    });

    it('prints events for an operator, one a line', async () => {
      const namespace = teamNamespace();
      const { vhost } = installation();
      const running = await start(['watch', '--type', 'namespace'], { ...environment(), RABBITMQ_URL: vhost.amqpUrl });
      await running.printedAnywhere('Watching');
      await runJson(['claim', namespace]);
      await running.printed(`namespace.claimed  ${namespace}  clientId=${TEAM} first=true`);
      running.signal('SIGTERM');
      assert.equal(await running.exited, 0);
    });
  });
});
