import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { NEWCOMER, TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { clientCommands } from '../support/client-commands.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('what a client shows of namespaces', () => {
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 4 } });
  const { environment, start, run, runJson } = clientCommands(installation);

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
});
