import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { hasReplicaCall } from '../../src/broker/queue-replicas.ts';
import type { Agent } from '../../src/agent/agent.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import type { StepReport } from '../../src/verify/step.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { untilHealth, untilSample } from '../support/agent-http.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { pathWithCommandsOf } from '../support/broker-commands.ts';
import { useCluster } from '../support/cluster.ts';
import { runCommandLine } from '../support/command-line.ts';
import { runVerification } from '../support/verification.ts';
import { waitUntil } from '../support/watched-installation.ts';

// F is a second, so that a name is free some seconds after its deletion.
const SETTINGS = { httpPort: 0, reconcileIntervalSeconds: 1, rotationIntervalSeconds: 8 };
const QUEUES = ['requests', 'unknown-methods', 'dead', 'broker-events', 'tenant-events'];

async function versionOf(broker: LocalRabbitMQ): Promise<string> {
  const { body } = await manage(broker, 'GET', '/overview');
  return (body as { rabbitmq_version: string }).rabbitmq_version;
}

/** RabbitMQ 4 deletes a classic queue whose node is down; 3.10 answers 404. */
async function deletesQueuesOfLostNodes(broker: LocalRabbitMQ): Promise<boolean> {
  return Number.parseInt(await versionOf(broker), 10) >= 4;
}

describe('an agent on a cluster', function () {
  this.timeout(2 * BROKER_START_MS);
  const cluster = useCluster();
  let installation: TestInstallation;
  let agent: Agent;

  beforeEach(async () => {
    installation = await makeInstallation({ broker: node(0), settings: SETTINGS });
    agent = await installation.start();
  });

  function node(index: number): LocalRabbitMQ {
    return cluster().nodes[index] ?? assert.fail();
  }

  const untilPart = async (part: 'replicas' | 'deletions', reason: RegExp | undefined): Promise<string> => {
    const { parts } = await untilHealth(agent, ({ parts: { [part]: found } }) =>
      reason === undefined ? found.state === 'up' : found.state === 'down' && reason.test(found.reason ?? ''),
    );
    return parts[part].reason ?? '';
  };
  const untilReplicas = async (count: number, online: number): Promise<void> => {
    for (const queue of QUEUES) {
      await untilSample(agent, `pulse_agent_queue_replicas{queue="${queue}"}`, (value) => value === count);
      await untilSample(agent, `pulse_agent_queue_replicas_online{queue="${queue}"}`, (value) => value === online);
    }
  };
  const verify = async (): Promise<StepReport> => {
    const isWanted = (name: string): boolean => ['management-api', 'replicas'].includes(name);
    const reports = await runVerification(installation.config, {}, ({ name }) => isWanted(name));
    return reports.at(-1) ?? assert.fail('no step ran');
  };

  it('gives a node that replaces another its replicas, or names the command that does', async () => {
    await untilReplicas(3, 3);
    await untilPart('replicas', undefined);
    assert.equal((await verify()).outcome, 'ok');
    await cluster().forget(node(2));
    await untilReplicas(2, 2);
    const joined = await cluster().add();
    if (!hasReplicaCall(await versionOf(node(0)))) {
      const reason = await untilPart('replicas', /^one more failure stops requests, unknown-methods, dead/);
      const [, command = ''] = /Run "(rabbitmq-queues grow .*)"\./.exec(reason) ?? [];
      assert.match(command, new RegExp(`^rabbitmq-queues grow ${joined.nodeName} all --vhost-pattern `));
      await installation.logged('replicas_reduced', { advice: new RegExp(joined.nodeName) });
      const { outcome, remedy } = await verify();
      assert.deepEqual([outcome, remedy], ['warning', `Run "${command}".`]);
      const env = { ...process.env, PATH: await pathWithCommandsOf(node(0)) };
      await promisify(execFile)('bash', ['-ec', command], { env });
      await installation.logged('replicas_complete');
    } else {
      await installation.logged('replica_added', { queue: installation.names.requestQueue, node: joined.nodeName });
    }
    await untilReplicas(3, 3);
    await untilPart('replicas', undefined);
    assert.equal((await verify()).outcome, 'ok');
  });

  it('names the node that is down for its own queues, and for a namespace that cannot be deleted', async () => {
    const namespace = teamNamespace();
    const queue = `queue/${namespace}/tasks`;
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    const there = new URL(connectionString);
    there.port = String(node(2).amqpPort);
    // A classic queue is on the node of the connection that declares it.
    const lost = await openConnection(there.href);
    lost.on('error', () => undefined);
    await (await lost.createChannel()).assertQueue(queue, { durable: true });

    const { nodeName } = node(2);
    await node(2).kill();
    const reason = await untilPart('replicas', /^one more failure stops requests, .* \(2 of 3 replicas online\)/);
    assert.match(
      reason,
      new RegExp(`Start ${nodeName}, or, if it is lost for good, run "rabbitmqctl forget_cluster_node`),
    );
    await untilReplicas(3, 2);

    await rpc.request('release-namespace', { namespace });
    if (await deletesQueuesOfLostNodes(node(0))) {
      await installation.logged('namespace_deleted', { namespace });
      return;
    }
    const why = new RegExp(`its queue ${queue} is on node ${nodeName}, which is down`);
    await installation.logged('namespace_work_failed', { namespace, err: why });
    await assert.rejects(rpc.request('claim-namespace', { namespace }), { code: 'RequestConflict', message: why });
    assert.match((await rpc.request('get-namespace', { namespace })).blockedBy ?? '', why);
    await untilPart('deletions', new RegExp(`^a deletion waits for node ${nodeName}, which is down$`));
    const plan = await runCommandLine(['plan', '--json'], installation.environment);
    assert.equal(await plan.exited, 0, plan.stderr());
    assert.match(plan.stdout(), why);

    await node(2).start();
    await installation.logged('namespace_deleted', { namespace });
    await untilPart('deletions', undefined);
    await untilPart('replicas', undefined);
    await waitUntil(
      () =>
        rpc.request('claim-namespace', { namespace }).then(
          () => true,
          () => false,
        ),
      'the namespace can be claimed again',
    );
  });
});
