import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { connect } from 'amqplib';
import { clientEnvironment, NEWCOMER, REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { listenForBrokerEvent } from '../support/broker-event-listener.ts';
import { type CommandRun, runCommandLine } from '../support/command-line.ts';
import { makeCertificates } from '../support/certificates.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeFolder } from '../support/folders.ts';
import { linesWith } from '../support/test-log.ts';
import { makeTlsRelay } from '../support/tls-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

interface Exit {
  readonly exitCode: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the commands of a client', () => {
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 4 } });

  const environment = (clientId = TEAM): Record<string, string> => clientEnvironment(installation(), clientId);

  const start = (args: readonly string[], env = environment()): Promise<CommandRun> => runCommandLine(args, env);

  async function run(args: readonly string[], env = environment()): Promise<Exit> {
    const { exited, stdout, stderr } = await start(args, env);
    return { exitCode: await exited, stdout: stdout(), stderr: stderr() };
  }

  async function runJson(args: readonly string[], env = environment()): Promise<Record<string, unknown>[]> {
    const { exitCode, stdout, stderr } = await run([...args, '--json'], env);
    assert.equal(exitCode, 0, stderr);
    assert.equal(stderr, '');
    return linesOf(stdout);
  }

  function linesOf(text: string): Record<string, unknown>[] {
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  it('ping: without Taskcluster credentials', async () => {
    const { TASKCLUSTER_CLIENT_ID: _id, TASKCLUSTER_ACCESS_TOKEN: _token, ...env } = environment();
    const { exitCode, stdout, stderr } = await run(['ping'], env);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^alive: agent-\S+ 0\.\S+, up for \d+ s, answered in \d+ ms\n$/);
    const [value] = await runJson(['ping'], env);
    assert.equal(value?.['alive'], true);
  });

  it('claim: prints the password only with --show-credentials', async () => {
    const namespace = teamNamespace();
    const { exitCode, stdout, stderr } = await run([
      'claim',
      namespace,
      '--contact',
      'team@example.com',
      '--expires',
      '2h',
    ]);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, new RegExp(`^claimed ${namespace}\n  expires         20.*Z\n  claim again at  20.*Z\n`));
    const [quiet] = await runJson(['claim', namespace]);
    assert.equal(quiet?.['connectionString'], undefined);
    const [open] = await runJson(['claim', namespace, '--show-credentials']);
    const url = String(open?.['connectionString']);
    await (await connect(url)).close();
    const { password } = new URL(url);
    assert.ok(!`${stdout}${JSON.stringify(quiet)}`.includes(password));
    const shown = await run(['claim', namespace, '--show-credentials']);
    assert.match(shown.stdout, /connect with {4}amqp:\/\/\S+:\S{20,}@/);
  });

  it('get, list, release: namespaces as a table and as lines of JSON', async () => {
    const namespace = teamNamespace();
    await runJson(['claim', namespace]);
    const got = await run(['get', namespace]);
    assert.match(
      got.stdout,
      new RegExp(
        `^${namespace}\n {2}state +active\n {2}holder +${TEAM}\n {2}last claim +20\\S+Z\n {2}created +20\\S+Z\n`,
      ),
    );
    assert.match(got.stdout, /\n {2}queues +0\n {2}messages +0\n {2}connections +0\n {2}counted at +20\S+Z\n$/);
    assert.equal(got.stderr, '');
    assert.ok(!got.stdout.includes('\u001b'), 'no colours where there is no terminal');
    const listed = await run(['list']);
    assert.match(listed.stdout, /^NAMESPACE +STATE +HOLDER +LAST CLAIM +EXPIRES +NEXT ROTATION +QUEUES +MESSAGES/);
    assert.ok(
      listed.stdout.split('\n').some((line) => line.startsWith(`${namespace} `)),
      listed.stdout,
    );
    const rows = await runJson(['list']);
    assert.ok(rows.some((row) => row['namespace'] === namespace && row['state'] === 'active'));
    assert.deepEqual(await runJson(['release', namespace]), [{ namespace, state: 'expiring' }]);
  });

  describe('the details of namespaces', () => {
    const names = [teamNamespace(), teamNamespace()].toSorted();
    const [first = '', second = ''] = names;
    before('claim two namespaces, with queues and a connection in one', async () => {
      await runJson(['claim', first]);
      const [{ connectionString } = {}] = await runJson(['claim', second, '--show-credentials']);
      const channel = await (await openConnection(String(connectionString))).createConfirmChannel();
      for (const name of ['a', 'b']) await channel.assertQueue(`queue/${second}/${name}`);
      await channel.assertExchange(`exchange/${second}/x`, 'fanout');
      await channel.bindQueue(`queue/${second}/a`, `exchange/${second}/x`, '');
      for (let sent = 0; sent < 3; sent += 1) channel.publish(`exchange/${second}/x`, '', Buffer.from('m'));
      await channel.waitForConfirms();
    });

    const countsOf = async (namespace: string): Promise<unknown> => {
      const [{ details } = {}] = await runJson(['get', namespace]);
      const { at: _at, ...counts } = (details as { counts?: Record<string, unknown> }).counts ?? {};
      return counts;
    };

    it('are the holder, and what the namespace has on the broker', async () => {
      const expected = { queues: 2, messages: 3, connections: 1 };
      // Counts are up to 5 s old.
      await waitUntil(async () => isDeepStrictEqual(await countsOf(second), expected), 'the counts of now');
      const [{ details } = {}] = await runJson(['get', first]);
      assert.equal((details as { holder: string }).holder, TEAM);
      assert.deepEqual(await countsOf(first), { queues: 0, messages: 0, connections: 0 });
    });

    it('are for those who may claim the namespace', async () => {
      for (const env of [environment(NEWCOMER), { ...environment(), TASKCLUSTER_CLIENT_ID: '' }]) {
        const { exitCode, stdout, stderr } = await run(['get', first], env);
        assert.equal(exitCode, 0, stderr);
        assert.ok(!stdout.includes(TEAM), stdout);
        assert.match(stderr, /pulse:describe:<namespace>/);
        const rows = await runJson(['list'], env);
        assert.ok(rows.length >= 2 && rows.every((row) => !('details' in row)));
      }
    });

    it('are left out where the signature is refused: what is public is shown', async () => {
      const env = { ...environment(), TASKCLUSTER_ACCESS_TOKEN: 'x' };
      const { exitCode, stdout, stderr } = await run(['list'], env);
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, new RegExp(`^${first} +active +20`, 'm'));
      assert.match(stderr, /^Only what is public is shown: .*signature/);
    });

    it('select, sort and arrange the list', async () => {
      const listed = async (...args: string[]): Promise<unknown[]> =>
        (await runJson(['list', ...args]))
          .map((row) => row['namespace'])
          .filter((name) => names.includes(String(name)));
      assert.deepEqual(await listed('--holder', TEAM), names);
      assert.deepEqual(await listed('--holder', 'team/*', '--state', 'active', 'expiring'), names);
      assert.deepEqual(await listed('--holder', 'another'), []);
      assert.deepEqual(await listed('--state', 'expiring'), []);
      assert.deepEqual(await listed('--sort', 'messages'), [second, first]);
      assert.deepEqual(await listed('--reverse'), [second, first]);
      const { stdout } = await run(['list', '--columns', 'messages,namespace', '--sort', 'messages']);
      assert.match(stdout, new RegExp(`^MESSAGES +NAMESPACE\n3 +${second}\n`));
    });

    it('are watched: first the whole, then what changes', async () => {
      const namespace = teamNamespace();
      await runJson(['claim', namespace]);
      const watching = await start(['list', '--state', 'active', '--watch', '1s']);
      const values = await start(['list', '--state', 'active', '--watch', '1s', '--json']);
      await watching.printed(`${namespace} `);
      await values.printed(`"${namespace}"`);
      await runJson(['release', namespace]);
      await watching.printed(`${namespace}  no longer listed`);
      await values.printed(`{"namespace":"${namespace}","listed":false}`);
      for (const command of [watching, values]) {
        command.signal('SIGINT');
        assert.equal(await command.exited, 0);
      }
    });

    const faults: readonly (readonly [string, string[], Record<string, string>, RegExp])[] = [
      ['a column', ['--columns', 'namespace,size'], {}, /no column size: give --columns as one of namespace, state/],
      ['an order', ['--sort', 'size'], {}, /no column size: give --sort as one of/],
      ['a state', ['--state', 'deleted'], {}, /no state deleted: give --state as provisioning, active, expiring/],
      ['an interval', ['--watch', 'often'], {}, /--watch alone, or with an interval/],
      ['a holder without a signer', ['--holder', TEAM], { TASKCLUSTER_CLIENT_ID: '' }, /set TASKCLUSTER_CLIENT_ID/],
    ];
    for (const [what, args, env, sentence] of faults) {
      it(`refuse ${what} that cannot be`, async () => {
        const { exitCode, stdout, stderr } = await run(['list', ...args], { ...environment(), ...env });
        assert.equal(exitCode, 2, stderr);
        assert.match(stderr, sentence);
        assert.equal(stdout, '');
      });
    }
  });

  describe('status of a namespace', () => {
    const claimWithMessages = async (): Promise<{ namespace: string; queue: string; publish: () => Promise<void> }> => {
      const namespace = teamNamespace();
      const { connectionString } = await installation().client(TEAM).claimNamespace({ namespace });
      const channel = await (await openConnection(connectionString)).createConfirmChannel();
      const [queue, exchange] = [`queue/${namespace}/tasks`, `exchange/${namespace}/tasks`];
      await channel.assertQueue(queue);
      await channel.assertExchange(exchange, 'fanout');
      await channel.bindQueue(queue, exchange, '');
      const publish = async (): Promise<void> => {
        channel.publish(exchange, '', Buffer.from('message'));
        await channel.waitForConfirms();
      };
      await publish();
      return { namespace, queue, publish };
    };

    it('shows its queues, and says that growth is not known yet', async () => {
      const { namespace, queue } = await claimWithMessages();
      const { exitCode, stdout, stderr } = await run(['status', namespace]);
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, new RegExp(`^${namespace} is active at 20.*Z\n\nholder +${TEAM}\n`));
      assert.match(stdout, new RegExp(`^${queue} +watched +1 +0 .* █ +unknown +warn at \\d+ messages +unknown$`, 'm'));
      assert.match(stderr, /ask again in 10 s/);
      const [value] = await runJson(['status', namespace]);
      assert.equal(value?.['holder'], TEAM);
    });

    it('is watched: first the whole, then what changes', async () => {
      const { namespace, queue, publish } = await claimWithMessages();
      const watching = await start(['status', namespace, '--watch', '1s']);
      const values = await start(['status', namespace, '--watch', '1s', '--json']);
      await watching.printed(`${queue}  watched`);
      await values.printed('"messages":1,');
      await publish();
      await watching.printed(`${queue} is watched: 2 messages`);
      await values.printed('"messages":2,');
      for (const command of [watching, values]) {
        command.signal('SIGINT');
        assert.equal(await command.exited, 0);
      }
    });

    it('is refused to others, without a signer, and its options without a namespace', async () => {
      const { namespace } = await claimWithMessages();
      const foreign = await run(['status', namespace], environment(NEWCOMER));
      assert.match(foreign.stderr, /needs the scope pulse:describe:\S+ or pulse:namespace:/);
      assert.notEqual(foreign.exitCode, 0);
      const unsigned = await run(['status', namespace], { ...environment(), TASKCLUSTER_CLIENT_ID: '' });
      assert.equal(unsigned.exitCode, 2, unsigned.stderr);
      const without = await run(['status', '--timeout', '3']);
      assert.equal(without.exitCode, 2);
      assert.match(without.stderr, /Give a namespace/);
    });
  });

  it('revoke: by an operator, with a duration from now', async () => {
    const namespace = teamNamespace();
    await runJson(['claim', namespace]);
    const { exitCode, stdout, stderr } = await run(['revoke', namespace, '--until', '1h'], environment(REVOKER));
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^The credentials of \S+ are revoked\. Claims are refused until 20.*Z\.\n$/);
    const claim = await run(['claim', namespace]);
    assert.equal(claim.exitCode, 4, claim.stderr);
    assert.match(claim.stderr, /^pulse-agent: .*revoked.*\.\n$/);
  });

  describe('with the environment of an agent', () => {
    const agentEnvironment = (): Record<string, string> => ({ ...installation().environment });
    const signer = (): Record<string, string> => {
      const { TASKCLUSTER_CLIENT_ID = '', TASKCLUSTER_ACCESS_TOKEN = '' } = environment();
      return { TASKCLUSTER_CLIENT_ID, TASKCLUSTER_ACCESS_TOKEN };
    };

    it('find address, claimant, id and audience', async () => {
      await runJson(['ping'], agentEnvironment());
      const namespace = teamNamespace();
      await runJson(['claim', namespace], { ...agentEnvironment(), ...signer() });
      const [found] = await runJson(['get', namespace], agentEnvironment());
      assert.equal(found?.['state'], 'active');
    });

    it('read the access token from a file, as an agent does', async () => {
      const { TASKCLUSTER_ACCESS_TOKEN = '', ...client } = signer();
      const path = join(makeFolder('token'), 'token');
      writeFileSync(path, `${TASKCLUSTER_ACCESS_TOKEN}\n`);
      const env = { ...agentEnvironment(), ...client, TASKCLUSTER_ACCESS_TOKEN_FILE: path };
      await runJson(['claim', teamNamespace()], env);
    });

    it('take from it what their own variables leave out', async () => {
      const { PULSE_AGENT_URL = '' } = environment();
      await runJson(['claim', teamNamespace()], { ...agentEnvironment(), ...signer(), PULSE_AGENT_URL });
    });

    it('watch events with its account', async () => {
      const watching = await start(['watch'], agentEnvironment());
      await watching.printedAnywhere('Watching');
      watching.signal('SIGINT');
      assert.equal(await watching.exited, 0);
    });

    const faults: readonly (readonly [what: string, missing: string, sentence: RegExp])[] = [
      ['a claimant', 'PULSE_AGENT_CLAIMANT_PASSWORD', /no claimant.*set PULSE_AGENT_CLAIMANT_PASSWORD/],
      ['the agent secret', 'PULSE_AGENT_SECRET', /^PULSE_AGENT_URL is not set, and .*: Set PULSE_AGENT_SECRET to/],
      ['an address', 'RABBITMQ_URL', /^PULSE_AGENT_URL is not set, and .*: Set RABBITMQ_URL/],
    ];
    for (const [what, missing, sentence] of faults) {
      it(`say exactly what is missing without ${what}`, async () => {
        const { exitCode, stderr } = await run(['ping'], { ...agentEnvironment(), [missing]: '' });
        assert.equal(exitCode, 2, stderr);
        assert.match(stderr.slice('pulse-agent: '.length), sentence);
      });
    }

    it('say which variable of the signer is missing', async () => {
      const env = { ...environment(), TASKCLUSTER_ACCESS_TOKEN: '' };
      const { exitCode, stderr } = await run(['claim', 'taskcluster-team'], env);
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, /^pulse-agent: Set TASKCLUSTER_ACCESS_TOKEN: /);
    });
  });

  describe('errors: one sentence and an exit code', () => {
    const lines: readonly (readonly [string, string[], Record<string, string>, number, RegExp])[] = [
      ['no broker URL', ['ping'], { PULSE_AGENT_URL: '' }, 2, /^Set PULSE_AGENT_URL/],
      ['no credentials', ['claim', 'taskcluster-x'], { TASKCLUSTER_CLIENT_ID: '' }, 2, /^Set TASKCLUSTER_CLIENT_ID/],
      [
        'a wrong token',
        ['claim', 'taskcluster-team'],
        { TASKCLUSTER_ACCESS_TOKEN: 'x' },
        3,
        /signature.*: check TASKCLUSTER_CLIENT_ID/,
      ],
      [
        'a foreign namespace',
        ['claim', 'taskcluster-other'],
        {},
        3,
        /needs the scope pulse:namespace:taskcluster-other/,
      ],
      ['a name without the prefix', ['claim', 'x'], {}, 2, /must begin with taskcluster-/],
      ['no such namespace', ['get', 'taskcluster-absent'], {}, 3, /taskcluster-absent/],
      ['no such agent', ['ping', '--id', 'absent', '--timeout', '2'], {}, 3, /does not let this user send requests/],
      ['no broker', ['ping', '--timeout', '1'], { PULSE_AGENT_URL: 'amqp://127.0.0.1:1' }, 4, /cannot be reached/],
      ['an invalid URL', ['ping'], { PULSE_AGENT_URL: 'http://x' }, 2, /^PULSE_AGENT_URL must .* amqp:\/\//],
      ['an invalid time', ['claim', 'taskcluster-x', '--expires', 'soon'], {}, 2, /such as 4h/],
      ['an invalid timeout', ['ping', '--timeout', 'x'], {}, 2, /number of seconds/],
      ['a program without --keep', ['claim', 'taskcluster-x', '--', 'true'], {}, 2, /--keep/],
      ['watch without a broker URL and without --through', ['watch'], {}, 2, /--through/],
      ['no such type', ['watch', '--type', 'queues'], {}, 2, /no events of type queues/],
    ];
    for (const [what, args, env, exitCode, sentence] of lines) {
      it(what, async () => {
        const result = await run(args, { ...environment(), ...env });
        assert.equal(result.exitCode, exitCode, result.stderr);
        assert.match(result.stderr, /^pulse-agent: [^\n]+\.\n$/);
        assert.match(result.stderr.slice('pulse-agent: '.length), sentence);
        assert.equal(result.stdout, '');
      });
    }

    it('no such vhost', async () => {
      const url = new URL(installation().claimantUrl);
      url.pathname = '/nowhere';
      const { exitCode, stderr } = await run(['ping'], { ...environment(), PULSE_AGENT_URL: url.href });
      assert.equal(exitCode, 3, stderr);
      assert.match(stderr, /^pulse-agent: RabbitMQ refuses the vhost nowhere: .*: check PULSE_AGENT_URL and --id\.\n$/);
    });

    describe('over TLS with a private CA', () => {
      /** A RabbitMQ whose certificate is for these names; the variables that lead there. */
      async function overTls(names?: string): Promise<Record<string, string>> {
        const certificates = makeCertificates(names);
        const { claimantUrl, broker } = installation();
        const url = new URL(claimantUrl.replace('amqp:', 'amqps:').replace('127.0.0.1', 'localhost'));
        url.port = String(await makeTlsRelay(broker.amqpPort, certificates));
        return { ...environment(), PULSE_AGENT_URL: url.href, RABBITMQ_CA_FILE: certificates.caFile };
      }

      it('works with RABBITMQ_CA_FILE, and with its content in RABBITMQ_CA', async () => {
        const { RABBITMQ_CA_FILE = '', ...env } = await overTls();
        await runJson(['ping'], { ...env, RABBITMQ_CA_FILE });
        await runJson(['claim', teamNamespace()], { ...env, RABBITMQ_CA: readFileSync(RABBITMQ_CA_FILE, 'utf8') });
      });

      it('names the variables for a CA that is unknown', async () => {
        const { RABBITMQ_CA_FILE: _left, ...env } = await overTls();
        const { exitCode, stderr } = await run(['ping'], env);
        assert.equal(exitCode, 3, stderr);
        assert.match(stderr, /does not trust the certificate.*RABBITMQ_CA_FILE.*NODE_EXTRA_CA_CERTS/);
        assert.ok(!stderr.includes('check PULSE_AGENT_URL and --id'), stderr);
      });

      it('names the certificate that is for another host', async () => {
        const { exitCode, stderr } = await run(['ping'], await overTls('DNS:rabbit.example.com'));
        assert.equal(exitCode, 3, stderr);
        assert.match(stderr, /does not trust the certificate.*rabbit\.example\.com.*host name of the certificate/);
      });

      it('refuses a file that holds no certificate', async () => {
        const { keyFile } = makeCertificates();
        const { exitCode, stderr } = await run(['ping'], { ...environment(), RABBITMQ_CA_FILE: keyFile });
        assert.equal(exitCode, 2, stderr);
        assert.match(stderr, /RABBITMQ_CA_FILE/);
        assert.ok(!stderr.includes('PRIVATE KEY'));
      });
    });

    it('as JSON, with the details of the reply', async () => {
      const { exitCode, stderr } = await run(['claim', 'taskcluster-other', '--json']);
      assert.equal(exitCode, 3);
      const [{ error } = {}] = linesOf(stderr) as { error?: Record<string, unknown> }[];
      assert.equal(error?.['code'], 'InsufficientScopes');
      assert.deepEqual(error['details'], { required: 'pulse:namespace:taskcluster-other', clientId: TEAM });
    });
  });

  for (const name of ['ping', 'claim', 'get', 'list', 'release', 'revoke', 'watch']) {
    it(`${name} --help has examples`, async () => {
      const { exitCode, stdout } = await run([name, '--help'], {});
      assert.equal(exitCode, 0);
      assert.match(stdout, new RegExp(`\nExamples:\n  # .+\n  .*pulse-agent ${name}`));
      assert.match(stdout, /PULSE_AGENT_URL/);
    });
  }

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
        assert.ok(exitCode === 3 || linesOf(stdout)[0]?.['state'] === 'expiring', stdout);
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
        const [first, second] = linesOf(running.stdout());
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
      const events = linesOf(running.stdout());
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
