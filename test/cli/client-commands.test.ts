import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { REVOKER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { makeCertificates } from '../support/certificates.ts';
import { clientCommands } from '../support/client-commands.ts';
import { jsonLines } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';
import { makeTlsRelay } from '../support/tls-relay.ts';

describe('the commands of a client', () => {
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 4 } });
  const { environment, start, run, runJson } = clientCommands(installation);

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
      const [{ error } = {}] = jsonLines<{ error?: Record<string, unknown> }>(stderr);
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
});
