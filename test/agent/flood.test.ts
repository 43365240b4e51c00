import assert from 'node:assert/strict';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { openConnection, useSharedBroker } from '../support/broker.ts';

const MIB = 2 ** 20;
/** The limit of the request queue. */
const MOST_WAITING = 5000;
/** How many requests are published concurrently. */
const BATCH = 500;

describe('a flood by the claimant while no agent runs', function () {
  this.timeout(120_000);
  const broker = useSharedBroker();

  const memory = async (): Promise<number> =>
    Number(await broker().rabbitmqctl(['--silent', 'eval', 'erlang:garbage_collect(), erlang:memory(total).']));

  /** Publishes as the claimant and waits for all confirms; returns how many were refused. */
  const flood = async (installation: TestInstallation, count: number, headers: object): Promise<number> => {
    const connection = await openConnection(installation.claimantUrl);
    const channel = await connection.createConfirmChannel();
    const content = Buffer.alloc(1000);
    let refused = 0;
    for (let sent = 0; sent < count; sent += BATCH) {
      const batch = Array.from(
        { length: BATCH },
        () =>
          new Promise<void>((resolve) => {
            channel.publish(installation.names.rpcExchange, 'ping', content, { headers }, (error: Error | null) => {
              if (error !== null) refused += 1;
              resolve();
            });
          }),
      );
      await Promise.all(batch);
    }
    await connection.close();
    return refused;
  };
  const waiting = async ({ names, vhost }: TestInstallation): Promise<number> => {
    const admin = await (await openConnection(vhost.requestUrl)).createChannel();
    return (await admin.checkQueue(names.requestQueue)).messageCount;
  };

  for (const [what, count, headers, mostMib] of [
    ['small requests', 20_000, {}, 100],
    // Byte limits ignore headers, so the message limit has to hold: it admits 100 MiB of these.
    ['requests with large headers', 7000, { big: 'x'.repeat(20_000) }, 350],
  ] as const) {
    it(`of ${what} is refused at the limit, needs bounded memory, and is served by the next agent`, async () => {
      const installation = await makeInstallation();
      await (await installation.start()).stop();
      const before = await memory();
      const refused = await flood(installation, count, headers);
      const left = await waiting(installation);
      // The broker applies the limit with a delay: messages that are in flight are still accepted.
      assert.ok(left >= MOST_WAITING && left <= MOST_WAITING + 2 * BATCH, `${left} wait`);
      assert.equal(refused, count - left);
      const grown = (await memory()) - before;
      assert.ok(grown < mostMib * MIB, `memory grew by ${Math.round(grown / MIB)} MiB`);

      await installation.start();
      const rpc = await installation.rpc(TEAM);
      const { connectionString } = await rpc.request('claim-namespace', { namespace: teamNamespace() });
      await openConnection(connectionString);
      assert.equal(await waiting(installation), 0);
    });
  }
});
