import assert from 'node:assert/strict';
import { WireError } from '../../src/contract/wire-errors.ts';
import { TEAM, teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, openConnection } from '../support/broker.ts';
import { listAccounts } from '../support/claim-assertions.ts';
import { runCommandLine } from '../support/command-line.ts';
import { concurrentTests, type DeclareTest } from '../support/concurrent-tests.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import {
  claimTeam,
  collectEvents,
  makeWatchedInstallation,
  queueExists,
  type Team,
  waitUntil,
} from '../support/watched-installation.ts';

type Json = Readonly<Record<string, unknown>>;

function listOf(value: Json | undefined, field: string): Json[] {
  return (value?.[field] ?? []) as Json[];
}

/** An installation with agents on one kind of store, and an operator beside them. */
async function startScene(kind: 'LMDB' | 'MongoDB', storeUrl: string | undefined) {
  const installation = await makeWatchedInstallation({
    settings: { rotationIntervalSeconds: 4 },
    environment: storeUrl === undefined ? {} : { STORE_URL: storeUrl },
  });
  await installation.start();
  if (kind === 'MongoDB') await installation.start();
  const events = await collectEvents(installation);
  const run = async (...args: readonly string[]): Promise<readonly Json[]> => {
    const { exited, stdout, stderr } = await runCommandLine([...args, '--json'], installation.environment);
    assert.equal(await exited, 0, stderr());
    const lines = stdout().trim().split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Json);
  };
  const exempt = async (queue: string, until: string): Promise<void> => {
    const [exempted] = await run('exempt', queue, '--until', until, '--reason', 'its consumer is down');
    assert.deepEqual([exempted?.['queue'], exempted?.['is']], [queue, 'kept']);
  };
  /** Fills a queue beyond the threshold for deletion. */
  const overfill = async (team: Team, name: string): Promise<string> => {
    const queue = `queue/${team.namespace}/${name}`;
    const channel = await (await openConnection(installation.vhost.amqpUrl)).createChannel();
    await channel.assertQueue(queue);
    await team.fill(queue, 60);
    return queue;
  };
  return { installation, events, run, exempt, overfill };
}

type Scene = Awaited<ReturnType<typeof startScene>>;

async function keepOvergrown({ installation, events, run, exempt, overfill }: Scene): Promise<void> {
  const team = await claimTeam(installation);
  const { namespace } = team;
  const queue = `queue/${namespace}/kept`;
  await team.channel.assertQueue(queue);
  await exempt(queue, '2h');
  assert.equal((await events.of('queue.exempted', queue)).data['namespace'], namespace);
  await overfill(team, 'kept');
  // What is not exempt is deleted meanwhile, by later surveys than the one that warned.
  await events.of('queue.warning', queue);
  await events.of('queue.deleted', await overfill(team, 'other'));
  assert.ok(await queueExists(installation, queue));
  let plan: Json | undefined;
  // A plan takes a listing for seconds old: right after the warning it does not count.
  await waitUntil(async () => {
    [plan] = await run('plan', '--namespace', namespace);
    return listOf(plan, 'queues').some((planned) => planned['queue'] === queue && planned['action'] === 'keep');
  }, 'a plan that keeps the queue');
  const [listed] = listOf(plan, 'exemptions');
  assert.deepEqual([listed?.['queue'], listed?.['reason']], [queue, 'its consumer is down']);
  assert.deepEqual(
    (await run('exempt', '--list')).map((one) => one['queue']),
    [queue],
  );

  const rest = await overfill(team, 'rest');
  const rpc = await installation.rpc(TEAM);
  await rpc.request('release-namespace', { namespace });
  await waitUntil(async () => {
    const { blockedBy } = await rpc.request('get-namespace', { namespace });
    return blockedBy?.includes(queue) ?? false;
  }, 'the deletion waits for the queue');
  assert.ok(await queueExists(installation, queue));
  assert.ok(!(await queueExists(installation, rest)));
  assert.deepEqual(await listAccounts(installation, namespace), []);
  await assert.rejects(rpc.request('claim-namespace', { namespace }), (error) => {
    assert.ok(error instanceof WireError);
    assert.deepEqual([error.code, error.retryable], ['RequestConflict', true]);
    assert.match(error.message, new RegExp(`exempted its queue ${queue} from deletion until`));
    return true;
  });

  await run('exempt', queue, '--end');
  assert.deepEqual((await events.of('queue.exemption-ended', queue)).data['reason'], 'ended');
  await events.of('namespace.expired', namespace);
  assert.ok(!(await queueExists(installation, queue)));
  assert.equal(events.seen.filter(({ type, subject }) => type === 'queue.exempted' && subject === queue).length, 1);
  assert.ok(!events.seen.some(({ type, subject }) => type === 'namespace.failing' && subject === namespace));
  const audit = (await run('audit', '--namespace', namespace)).filter((one) => one['action'] === 'exemption');
  assert.deepEqual(
    audit.map((one) => [one['actor'], one['subject'], one['reason'], one['outcome']]),
    [
      ['operator', queue, 'its consumer is down', 'done'],
      ['operator', queue, 'its consumer is down', 'ended'],
    ],
  );
}

async function endByClock({ installation, events, exempt, overfill }: Scene): Promise<void> {
  const team = await claimTeam(installation);
  const queue = `queue/${team.namespace}/late`;
  await team.channel.assertQueue(queue);
  await exempt(queue, '10s');
  await overfill(team, 'late');
  await events.of('queue.deleted', queue);
  // Published a second after its end at the latest, by another job than the deletion.
  await events.of('queue.exemption-ended', queue);
  const types = events.seen.filter(({ subject }) => subject === queue).map(({ type }) => type);
  assert.deepEqual(types.toSorted(), ['queue.deleted', 'queue.exempted', 'queue.exemption-ended', 'queue.warning']);
}

async function keepNamespace({ installation, events, run, exempt }: Scene): Promise<void> {
  const rpc = await installation.rpc(TEAM);
  const admin = await (await openConnection(installation.vhost.amqpUrl)).createChannel();
  const [kept, late, gone] = [teamNamespace(), teamNamespace(), teamNamespace()];
  const expires = new Date(Date.now() + 16_000).toISOString();
  for (const namespace of [kept, late, gone]) {
    await rpc.request('claim-namespace', { namespace, expires });
    await admin.assertQueue(`queue/${namespace}/jobs`);
  }
  // Each is a process, which takes seconds to start on a busy machine.
  await Promise.all([exempt(`queue/${kept}/jobs`, '2h'), exempt(`queue/${late}/jobs`, '24s')]);
  await events.of('namespace.expired', gone);
  assert.equal((await rpc.request('get-namespace', { namespace: kept })).state, 'active');
  const [plan] = await run('plan', '--namespace', kept, '--horizon', '3h');
  const deletion = listOf(plan, 'namespaces').find(({ action }) => action === 'delete');
  assert.match(String(deletion?.['why']), /the exemption of its queue .* has ended/);
  const { connectionString } = await rpc.request('claim-namespace', { namespace: kept });
  await (await openConnection(connectionString)).close();
  // That of the other ends by the clock, and with it the namespace, which no client claimed again.
  await events.of('namespace.expired', late);
  assert.ok(await queueExists(installation, `queue/${kept}/jobs`));
  await run('exempt', `queue/${kept}/jobs`, '--end');
}

async function refuse({ installation, run }: Scene): Promise<void> {
  for (const [queue, exitCode, code] of [
    ['queue/taskcluster-team-missing/jobs', 3, 'ResourceNotFound'],
    ['jobs', 2, 'InputError'],
  ] as const) {
    const { exited, stderr } = await runCommandLine(
      ['exempt', queue, '--until', '1h', '--json'],
      installation.environment,
    );
    assert.equal(await exited, exitCode);
    assert.equal((JSON.parse(stderr()) as { error: { code: string } }).error.code, code);
  }
  assert.deepEqual(await run('exempt', '--list'), []);
  assert.deepEqual(await run('exempt', 'queue/taskcluster-team-missing/jobs', '--end'), [
    { queue: 'queue/taskcluster-team-missing/jobs', ended: false },
  ]);
}

describe('an exemption of a queue', function () {
  this.timeout(BROKER_START_MS);
  const mongodb = useSharedMongoDB();
  const scenes = new Map<string, Scene>();
  before('start agents', async () => {
    scenes.set('LMDB', await startScene('LMDB', undefined));
    scenes.set('MongoDB', await startScene('MongoDB', mongoDatabase(mongodb())));
  });
  after('remove the installations', async () => {
    for (const { installation } of scenes.values()) await installation.remove();
  });
  /** Both kinds of store at the same time: their agents mostly wait. */
  const beside = (title: string, work: (scene: Scene) => Promise<void>, it: DeclareTest): void => {
    for (const kind of ['LMDB', 'MongoDB']) {
      it(`${title} (${kind})`, async () => await work(scenes.get(kind) ?? assert.fail()));
    }
  };

  // It is the only one then.
  concurrentTests((it) =>
    beside(
      'keeps an overgrown queue, also when its namespace is released, until an operator ends it',
      keepOvergrown,
      it,
    ),
  );
  concurrentTests((it) => {
    beside('ends by the clock: then the queue is deleted as before', endByClock, it);
    beside('keeps its namespace from expiring, which its client can claim again', keepNamespace, it);
  });
  concurrentTests((it) => beside('is refused for a queue that does not exist, or is of no namespace', refuse, it));
});

describe('the command exempt', () => {
  it('refuses contradictory arguments', async () => {
    for (const args of [
      ['exempt'],
      ['exempt', 'queue/taskcluster-x/a'],
      ['exempt', 'queue/taskcluster-x/a', '--list'],
      ['exempt', 'queue/taskcluster-x/a', '--until', '1h', '--end'],
      ['exempt', '--list', '--end'],
    ]) {
      const run = await runCommandLine(args, {});
      assert.equal(await run.exited, 2);
      assert.match(run.stderr(), /^pulse-agent: [A-Z][^\n]*\.\n$/);
    }
  });
});
