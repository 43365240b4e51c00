import assert from 'node:assert/strict';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation, withPort } from '../support/agent.ts';
import { useCluster } from '../support/cluster.ts';
import type { Requester, SentRequest } from '../support/requester.ts';
import { linesWith } from '../support/test-log.ts';

/** More than an agent holds, so that some are delivered after the death of their node. */
const CLAIMS = 300;

/** How long every claim is in flight, at least, in ms. */
const AUTH_MS = 1500;

/** An agent, and clients of several nodes. */
interface Room {
  readonly installation: TestInstallation;
  /** In flight from clients of the node that dies. */
  readonly claims: readonly SentRequest[];
  readonly publish: () => Promise<void>;
  /** The types of the replies to other clients, and how long they waited. */
  readonly stop: () => Promise<readonly { readonly type: string; readonly waitedMs: number }[]>;
}

describe('clients of a node that dies', function () {
  this.timeout(BROKER_START_MS);
  const cluster = useCluster();

  /** An agent at `home`, whose management API is at `managed`. */
  async function open(victim: LocalRabbitMQ, home: LocalRabbitMQ, others: LocalRabbitMQ[], managed: LocalRabbitMQ) {
    const installation = await makeInstallation({
      broker: home,
      // All claims are in flight at the same time.
      settings: { authConcurrency: CLAIMS + 100 },
      environment: { RABBITMQ_MANAGEMENT_URL: managed.managementUrl },
    });
    await installation.start();
    const { taskcluster, claimantUrl } = installation;
    const clientAt = async ({ amqpPort }: LocalRabbitMQ): Promise<Requester> =>
      await installation.requester(withPort(claimantUrl, amqpPort));
    const namespaces = Array.from({ length: 10 }, teamNamespace);
    const claimOf = (index: number) => ({
      method: 'claim-namespace',
      body: { namespace: namespaces[index % namespaces.length] },
      credentials: taskcluster.credentials(TEAM),
    });
    const first = await clientAt(home);
    await Promise.all(namespaces.map((_, index) => first.request(claimOf(index))));

    const doomed = await Promise.all([victim, victim, victim].map(clientAt));
    const claims = Array.from({ length: CLAIMS }, (_, index) => (doomed[0] as Requester).compose(claimOf(index)));
    const publish = async (): Promise<void> => {
      await Promise.all(claims.map((claim, index) => (doomed[index % doomed.length] as Requester).publish(claim)));
    };

    const stopping = new AbortController();
    const loops = others.map(async (node) => {
      const client = await clientAt(node);
      const replies: { type: string; waitedMs: number }[] = [];
      while (!stopping.signal.aborted) {
        const startedMs = performance.now();
        const { properties } = await client.request({ method: 'ping' });
        replies.push({ type: String(properties.type), waitedMs: performance.now() - startedMs });
      }
      return replies;
    });
    const stop: Room['stop'] = async () => {
      stopping.abort();
      return (await Promise.all(loops)).flat();
    };
    return { installation, claims, publish, stop };
  }

  /** Waits until every claim has its line in the log; returns how many had which outcome. */
  async function outcomesOf({ installation, claims }: Room): Promise<ReadonlyMap<unknown, number>> {
    const ids = new Set(claims.map(({ correlationId }) => correlationId));
    const lines = await installation.found((log) => {
      const ended = [...linesWith(log, 'request_served'), ...linesWith(log, 'request_failed')];
      const theirs = new Map(ended.map((line) => [String(line['correlationId']), line]));
      const found = [...ids].flatMap((id) => theirs.get(id) ?? []);
      return found.length === claims.length ? found : undefined;
    });
    const counts = new Map<unknown, number>();
    for (const { sent } of lines) counts.set(sent, (counts.get(sent) ?? 0) + 1);
    return counts;
  }

  it('cost other clients neither replies nor seconds, also while the nodes cannot be listed', async () => {
    const [victim, home, third] = cluster().nodes;
    assert.ok(victim !== undefined && home !== undefined && third !== undefined);
    const others = [home, home, third, third];
    const rooms = [await open(victim, home, others, home), await open(victim, third, others, victim)];
    for (const { installation } of rooms) installation.taskcluster.behave({ mode: 'slow', delayMs: AUTH_MS });
    await Promise.all(rooms.map(({ publish }) => publish()));
    await victim.kill();
    for (const { installation } of rooms) installation.taskcluster.behave({ mode: 'normal' });

    for (const [index, room] of rooms.entries()) {
      const outcomes = await outcomesOf(room);
      const replies = await room.stop();
      const deaths = linesWith(room.installation.log, 'reply_connection_lost').length;
      const dropped = outcomes.get('requester-gone') ?? 0;
      const deadLettered = outcomes.get('dead-lettered') ?? 0;
      const longest = Math.max(...replies.map(({ waitedMs }) => waitedMs));
      const seen = `deaths ${deaths}, dropped ${dropped}, dead-lettered ${deadLettered}, longest wait ${longest} ms`;
      assert.deepEqual(new Set(replies.map(({ type }) => type)), new Set(['result']), seen);
      // Since RabbitMQ 4.0 such a reply closes nothing.
      assert.ok(deaths <= (index === 0 ? 3 : 15), seen);
      if (index === 0) assert.equal(deadLettered, 0, seen);
      if (deaths > 0) assert.ok(dropped + deadLettered > 0, seen);
      // Clients wait 15 s for a reply; these wait for the requests before them, on a machine that may be busy.
      assert.ok(longest < 15_000, seen);
    }
  });
});
