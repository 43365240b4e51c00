import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestInstallation } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { type OwnerMail, readOwnerMail } from '../support/owner-mails.ts';
import { claimTeam, makeWatchedInstallation, type Team } from '../support/watched-installation.ts';

const CONTACT = 'owner@example.org';

/** How often to wait a quarter of a second for mails: a thousand queues are some ten thousand writes to the store. */
const PATIENCE = 1_000;

/**
 * A mail gathers what comes without a pause of 2 s, for a minute at most: one is enough, and a busy machine makes pauses. A
 * tenth of what Taskcluster sends to one address is far from it.
 */
const FEW = 20;

describe('an owner with many overgrown queues', function () {
  this.timeout(900_000);
  useSharedBroker();
  const mongodb = useSharedMongoDB();

  // With 1,000 and FerretDB it took 110 s until the second of two mails about warnings, as each write takes milliseconds.
  for (const [store, count, environment] of [
    ['LMDB', 1_000, () => ({})],
    ['MongoDB', 150, () => ({ STORE_URL: mongoDatabase(mongodb()) })],
  ] as const) {
    it(`gets a few mails, which are about all ${count} of them, from an agent with ${store}`, async () => {
      const installation = await makeWatchedInstallation({
        settings: { warnAtMessages: 2, deleteAtMessages: 4, surveyIntervalSeconds: 2 },
        environment: environment(),
      });
      await installation.start();
      const team = await claimTeam(installation, CONTACT);
      const queues = Array.from({ length: count }, (_, number) => `queue/${team.namespace}/${number}`);
      await Promise.all(queues.map((queue) => team.channel.assertQueue(queue, { durable: false })));
      await fillEach(team, queues, 3);
      const warnings = await mailsOf(installation, 'warning', count);
      assert.ok(warnings.length <= FEW, `${warnings.length} mails about ${count} queues`);
      await fillEach(team, queues, 3);
      const deletions = await mailsOf(installation, 'deletion', count);
      assert.ok(deletions.length <= FEW, `${deletions.length} mails about ${count} deletions`);
      // No queue is in two of them.
      for (const mails of [warnings, deletions]) {
        const named = mails.flatMap(({ queues: names }) => names);
        assert.equal(new Set(named).size, named.length);
        assert.equal(queuesIn(mails), count);
      }
      await installation.remove();
    });
  }
});

async function fillEach(team: Team, queues: readonly string[], messages: number): Promise<void> {
  for (const queue of queues) await team.fill(queue, messages);
}

function queuesIn(mails: readonly OwnerMail[]): number {
  return mails.reduce((sum, { count }) => sum + count, 0);
}

/** The mails of one kind, once they are about this number of queues. */
async function mailsOf(
  { taskcluster }: TestInstallation,
  kind: OwnerMail['kind'],
  count: number,
): Promise<OwnerMail[]> {
  const found = (): OwnerMail[] => taskcluster.mails.map(readOwnerMail).filter((mail) => mail.kind === kind);
  for (let waits = 0; queuesIn(found()) < count && waits < PATIENCE; waits += 1) await pause(250);
  assert.equal(queuesIn(found()), count, `queues in ${found().length} mails`);
  return found();
}
