import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { InstallationStatus } from '../../src/status/installation-status.ts';
import { openMongoStore } from '../../src/store/mongodb/mongodb-store.ts';
import { systemClock } from '../../src/util/clock.ts';
import { startAgentProcess } from '../support/agent-process.ts';
import { makeInstallation, TEAM, teamNamespace, useInstallation, withPort } from '../support/agent.ts';
import { addCleanup } from '../support/cleanup.ts';
import { type CommandRun, runCommandLine } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { waitUntil } from '../support/watched-installation.ts';

type Environment = Readonly<Record<string, string>>;

interface Shown {
  readonly exitCode: number | NodeJS.Signals | null;
  readonly status: InstallationStatus;
  readonly stdout: string;
}

async function finished(run: CommandRun): Promise<{ exitCode: Shown['exitCode']; stdout: string }> {
  const exitCode = await run.exited;
  assert.equal(run.stderr(), '');
  return { exitCode, stdout: run.stdout() };
}

async function show(environment: Environment): Promise<Shown> {
  const { exitCode, stdout } = await finished(await runCommandLine(['status', '--json'], environment));
  return { exitCode, stdout, status: JSON.parse(stdout) as InstallationStatus };
}

/** Shows it until it is as wanted. */
async function showUntil(environment: Environment, what: string, isSo: (status: InstallationStatus) => boolean) {
  let shown: Shown | undefined;
  await waitUntil(
    async () => isSo((shown = await show(environment)).status),
    `${what}; latest status: ${shown?.stdout}`,
  );
  return shown as Shown;
}

/** A port of 127.0.0.1 on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

const about = ({ findings }: InstallationStatus): string[] =>
  findings.map(({ level, about: what }) => `${level} ${what}`);

describe('status', function () {
  this.timeout(180_000);

  describe('of an agent on LMDB without HTTP_PORT', () => {
    const installation = useInstallation();

    it('shows what works, without a secret, and exits with 0', async () => {
      const namespace = teamNamespace();
      const { connectionString } = await (await installation().rpc(TEAM)).request('claim-namespace', { namespace });
      const { environment, agent, config } = installation();
      const { exitCode, status, stdout } = await showUntil(environment, 'well', ({ state, secrets, jobs }) => {
        const isCounted = secrets?.needed[0]?.namespaces === 1;
        return state === 'well' && isCounted && jobs?.find(({ job }) => job === 'prune')?.succeeded !== null;
      });
      assert.equal(exitCode, 0);
      const [shown, ...others] = status.agents ?? [];
      assert.deepEqual([shown?.instance, shown?.state, others], [agent.instance, 'ready', []]);
      assert.equal(shown?.parts['store']?.state, 'up');
      assert.equal('round-trip' in (shown?.parts ?? {}), false, 'it is watched with HTTP_PORT alone');
      assert.deepEqual(status.secrets?.needed[0]?.heldBy, [agent.instance]);
      assert.ok((status.requestQueue.consumers ?? 0) >= 1);
      assert.equal(status.requestQueue.members?.includes(status.requestQueue.leader ?? ''), true);
      assert.deepEqual([status.deadLetters, status.notices, status.alerts?.queues], [0, { waiting: 0 }, []]);
      assert.ok(status.jobs?.some(({ job, succeeded }) => job === 'reconcile-broker' && succeeded !== null));
      const secrets = [config.agentSecret.reveal(), installation().vhost.password, new URL(connectionString).password];
      for (const secret of secrets) assert.ok(!stdout.includes(secret));

      const text = await finished(await runCommandLine(['status'], environment));
      assert.equal(text.exitCode, 0);
      for (const wanted of [agent.instance, 'works', 'reconcile-broker', 'request queue', shown?.secretIds[0] ?? '']) {
        assert.ok(text.stdout.includes(wanted), `${wanted} in ${text.stdout}`);
      }
    });

    it('says which of store and broker does not answer, and shows the rest', async () => {
      const { environment, vhost } = installation();
      const port = await closedPort();
      const withoutStore = await show({ ...environment, STORE_URL: `lmdb:${makeFolder('empty')}` });
      assert.deepEqual([withoutStore.exitCode, about(withoutStore.status)], [1, ['down store']]);
      assert.equal(withoutStore.status.agents, null);
      assert.ok((withoutStore.status.requestQueue.consumers ?? 0) >= 1);

      const withoutAmqp = await show({ ...environment, RABBITMQ_URL: withPort(vhost.amqpUrl, port) });
      assert.deepEqual([withoutAmqp.exitCode, about(withoutAmqp.status)], [1, ['down amqp']]);
      assert.match(withoutAmqp.status.findings[0]?.said ?? '', new RegExp(`127\\.0\\.0\\.1:${port}.*ECONNREFUSED`));
      assert.equal(withoutAmqp.status.agents?.length, 1);
      assert.ok(!withoutAmqp.stdout.includes(vhost.password));

      const management = { RABBITMQ_MANAGEMENT_URL: withPort(vhost.managementUrl, port) };
      const withoutManagement = await show({ ...environment, ...management });
      assert.deepEqual([withoutManagement.exitCode, about(withoutManagement.status)], [5, ['degraded management']]);
      assert.equal(withoutManagement.status.requestQueue.leader, null);
      assert.ok(!withoutManagement.stdout.includes(vhost.password));
    });

    it('with --watch prints a document a line, or what changes; the agent stops in order', async () => {
      const { environment, agent } = installation();
      const documents = await runCommandLine(['status', '--watch', '1s', '--json'], environment);
      const changes = await runCommandLine(['status', '--watch', '1s'], environment);
      await changes.printed('reconcile-broker');
      await waitUntil(() => documents.stdout().split('\n').length > 2, 'two documents');
      await agent.stop();
      await changes.printed(`agent ${agent.instance}: gone`);
      await changes.printed('the installation: down');
      await waitUntil(() => documents.stdout().includes('"agents":[]'), 'a document without agents');
      for (const run of [documents, changes]) run.signal('SIGINT');
      assert.equal((await finished(changes)).exitCode, 1);
      const lines = (await finished(documents)).stdout.trimEnd().split('\n');
      const last = JSON.parse(lines.at(-1) ?? '') as InstallationStatus;
      assert.deepEqual([last.state, about(last)], ['down', ['down agents']]);
      // Nothing is left of an agent that stopped in order.
      const { exitCode, status } = await show(environment);
      assert.deepEqual([exitCode, status.agents, about(status)], [1, [], ['down agents']]);
    });
  });

  describe('of agents on MongoDB', () => {
    const mongodb = useSharedMongoDB();

    it('shows an agent that was killed until another one has started in its place', async () => {
      const url = mongoDatabase(mongodb());
      const installation = await makeInstallation({ environment: { STORE_URL: url } });
      const { environment } = installation;
      // It has run for two minutes when the other one is seen last.
      let behindMs = 120_000;
      await installation.start({ clock: { ...systemClock, nowMs: () => Date.now() - behindMs } });
      behindMs = 0;
      const other = await startAgentProcess(environment);
      const both = await showUntil(environment, 'two agents that are ready', ({ agents }) => {
        return agents?.length === 2 && agents.every(({ state }) => state === 'ready');
      });
      assert.equal(both.exitCode, 0);
      await other.kill();
      const [killed] = both.status.agents ?? [];
      assert.ok(killed !== undefined);
      // A minute ago, without the wait.
      const store = await openMongoStore({ url, clock: systemClock, randomBytes });
      addCleanup(() => store.close());
      const record = await store.agents.get(killed.instance);
      assert.ok(record !== undefined);
      const seenMs = record.seenMs - 60_000;
      assert.ok(await store.agents.replace({ ...record, revision: record.revision + 1, seenMs }, record.revision));

      const lost = await show(environment);
      assert.deepEqual([lost.exitCode, about(lost.status)], [5, ['degraded agents']]);
      const [finding] = lost.status.findings;
      assert.deepEqual([finding?.since, finding?.agents], [new Date(seenMs).toISOString(), [killed.instance]]);

      await installation.start();
      const replaced = await showUntil(environment, 'replaced', ({ state }) => state === 'well');
      assert.equal(replaced.status.agents?.find(({ instance }) => instance === killed.instance)?.state, 'replaced');
    });
  });
});
