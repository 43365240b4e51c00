import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { proxyListeners } from '../../src/cli/proxy-listeners.ts';
import { UsageFault } from '../../src/cli/define-command.ts';
import {
  clientEnvironment,
  makeInstallation,
  REVOKER,
  teamNamespace,
  useInstallation,
  withPort,
} from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { makeCertificates } from '../support/certificates.ts';
import { type CommandRun, runCommandLine } from '../support/command-line.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { makeFolder, unique } from '../support/folders.ts';
import { skipBecause } from '../support/skip.ts';
import { makeTlsRelay } from '../support/tls-relay.ts';

/** A program that prints the URL it was given, connects to it and says how that ends. */
const CLIENT = `
  const amqplib = require('amqplib');
  amqplib.connect(process.env.AMQP_URL).then((connection) => {
    connection.on('close', (reason) => { console.log('closed:', reason.message); process.exit(0); });
    connection.on('error', () => undefined);
    console.log('connected', process.env.PULSE_CONNECTION_STRING === process.env.AMQP_URL);
  });
  process.on('SIGTERM', () => process.exit(7));
`;

describe('the command proxy', function () {
  this.timeout(120_000);
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 3 } });
  const free = ['--listen', '127.0.0.1:0'];
  const start = (...args: readonly string[]): Promise<CommandRun> =>
    runCommandLine(['proxy', ...args], clientEnvironment(installation()));

  function urlsIn(run: CommandRun): string[] {
    return [...run.stdout().matchAll(/listening on (\S+) for/g)].map(([, url = '']) => url);
  }

  concurrentTests((it) => {
    it('serves several namespaces until Ctrl-C, each on a port of its own', async () => {
      const [one, other] = [teamNamespace(), teamNamespace()];
      const run = await start('--namespace', `${one}@0`, '--namespace', `${other}@0`, ...free);
      await run.printed(`for ${other}`);
      const urls = urlsIn(run);
      assert.equal(urls.length, 2);
      const connections = await Promise.all(urls.map((url) => openConnection(url)));
      for (const [index, namespace] of [one, other].entries()) {
        await (await connections[index]?.createChannel())?.assertQueue(`queue/${namespace}/a`);
      }
      const [first] = connections;
      assert.ok(first !== undefined);
      const closed = once(first, 'close') as Promise<[Error]>;
      run.signal('SIGINT');
      assert.match((await closed)[0].message, /320.*The proxy of Pulse Agent stops\./);
      assert.equal(await run.exited, 0, run.stderr());
    });

    it('runs a program with its URL, passes signals on, and ends with its exit code', async () => {
      const namespace = teamNamespace();
      const run = await start('--namespace', namespace, ...free, '--', process.execPath, '-e', CLIENT);
      await run.printed('connected true');
      run.signal('SIGTERM');
      assert.equal(await run.exited, 7, run.stderr());
    });

    it('ends with the error when a lease is lost; until then it prints what happens', async () => {
      const namespace = teamNamespace();
      const run = await start('--namespace', namespace, ...free, '--json');
      await run.printed('"event":"listening"');
      const [line = ''] = run.stdout().split('\n');
      const connection = await openConnection((JSON.parse(line) as { url: string }).url);
      const closed = once(connection, 'close') as Promise<[Error]>;
      await run.printed('"event":"renewed"');
      const until = new Date(Date.now() + 3_600_000).toISOString();
      await (await installation().rpc(REVOKER)).request('revoke-namespace', { namespace, until });
      assert.match((await closed)[0].message, /320|CONNECTION_FORCED/);
      assert.equal(await run.exited, 3);
      const { error } = JSON.parse(run.stderr()) as { error: { code: string; details: object } };
      assert.deepEqual([error.code, error.details], ['LeaseLost', { reason: 'taken-away', namespace }]);
    });

    it('gives clients the reason why a lease is lost', async () => {
      const { taskcluster } = installation();
      const namespace = teamNamespace();
      const leaver = { clientId: unique('team/leaver'), accessToken: 'test-leaver-0000000000000000' };
      taskcluster.setClient({ ...leaver, scopes: [`pulse:namespace:${namespace}`] });
      const run = await runCommandLine(
        ['proxy', '--namespace', namespace, ...free],
        clientEnvironment(installation(), leaver.clientId),
      );
      await run.printed('listening on');
      const [url = ''] = urlsIn(run);
      const connection = await openConnection(url);
      const closed = once(connection, 'close') as Promise<[Error]>;
      taskcluster.setClient({ ...leaver, scopes: [] });
      assert.match((await closed)[0].message, new RegExp(`320.*lease of ${namespace} is lost.*scope`));
      assert.equal(await run.exited, 3, run.stderr());
      await assert.rejects(connect(url), /ECONNREFUSED/);
    });

    it('asks for the password of its file, and then listens for other machines, too', async () => {
      const file = join(makeFolder('password'), 'password');
      writeFileSync(file, 'local\n');
      const listen = ['--listen', '0.0.0.0:0', '--password-file', file];
      const run = await start('--namespace', teamNamespace(), ...listen);
      await run.printed('listening on');
      const [url = ''] = urlsIn(run);
      assert.ok(!url.includes('local@'), url);
      await openConnection(url.replace('//', '//me:local@'));
      await assert.rejects(connect(url.replace('//', '//me:other@')), /403/);
      run.signal('SIGTERM');
      assert.equal(await run.exited, 0);
    });

    it('connects to RabbitMQ with TLS, with the CA in RABBITMQ_CA_FILE', async () => {
      const certificates = makeCertificates();
      const port = String(await makeTlsRelay(installation().broker.amqpPort, certificates));
      const secured = await makeInstallation({ environment: { PUBLIC_AMQP_URL: `amqps://localhost:${port}` } });
      await secured.start();
      const claimant = new URL(withPort(secured.claimantUrl, Number(port)).replace('amqp:', 'amqps:'));
      claimant.hostname = 'localhost';
      const namespace = teamNamespace();
      const environment = { ...clientEnvironment(secured), PULSE_AGENT_URL: claimant.href };
      const run = await runCommandLine(['proxy', '--namespace', namespace, ...free], {
        ...environment,
        RABBITMQ_CA_FILE: certificates.caFile,
      });
      await run.printed('listening on');
      const [url = ''] = urlsIn(run);
      await (await (await openConnection(url)).createChannel()).assertQueue(`queue/${namespace}/a`);
      const distrusting = await runCommandLine(['proxy', '--namespace', namespace, ...free], environment);
      assert.equal(await distrusting.exited, 3);
      assert.match(distrusting.stderr(), /does not trust the certificate.*RABBITMQ_CA_FILE/);
    });

    it('reports a program that does not exist', async () => {
      const run = await start('--namespace', teamNamespace(), ...free, '--', 'no-such-program');
      assert.equal(await run.exited, 2);
      assert.match(run.stderr(), /^pulse-agent: The program no-such-program cannot be started: command not found\.\n$/);
    });

    it('refuses a port that another program uses', async () => {
      const { amqpPort } = installation().broker;
      const run = await start('--namespace', teamNamespace(), '--listen', `127.0.0.1:${amqpPort}`);
      assert.equal(await run.exited, 2);
      assert.match(run.stderr(), new RegExp(`cannot listen on 127.0.0.1:${amqpPort}, another program uses it`));
    });
  });

  it('listens on an address of IPv6', async function () {
    if (networkInterfaces()['lo']?.some(({ address }) => address === '::1') !== true) {
      skipBecause(this, 'this machine has no IPv6');
    }
    const run = await start('--namespace', teamNamespace(), '--listen', '[::1]:0');
    await run.printed('listening on');
    const [url = ''] = urlsIn(run);
    assert.match(url, /^amqp:\/\/\[::1\]:\d+\//);
    await openConnection(url);
  });
});

describe('the options of the command proxy', () => {
  const refused: readonly (readonly [string, Parameters<typeof proxyListeners>, RegExp])[] = [
    ['all addresses without a password', [['a'], '0.0.0.0:5673'], /--password-file/],
    ['an address without a port', [['a'], '127.0.0.1'], /--listen as an address and a port/],
    ['a port beyond the last', [['a'], '127.0.0.1:65536'], /at most 65535/],
    ['a port of a namespace that is none', [['a@x']], /at most 65535/],
    ['two namespaces on one port', [['a', 'b']], /a port of its own/],
    ['one namespace twice', [['a@1', 'a@2']], /a namespace of its own/],
    ['no name', [['@5673']], /as a name/],
    ['a file that is not there', [['a'], undefined, '/no/such/file'], /--password-file cannot be read/],
  ];
  for (const [what, args, sentence] of refused) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(proxyListeners(...args), (error: Error) => {
        assert.ok(error instanceof UsageFault);
        assert.match(error.message, sentence);
        return true;
      });
    });
  }

  it('have each namespace on 127.0.0.1:5673, or its own port', async () => {
    const [one, other] = await proxyListeners(['a', 'b@6000'], '[::1]:5673');
    assert.deepEqual(one, { namespace: 'a', host: '::1', port: 5673, password: undefined });
    assert.deepEqual(other, { namespace: 'b', host: '::1', port: 6000, password: undefined });
    assert.equal((await proxyListeners(['a']))[0]?.host, '127.0.0.1');
  });
});
