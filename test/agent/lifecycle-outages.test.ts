import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PulseAgentClient } from '../../src/client/client.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { makeInstallation, teamNamespace } from '../support/agent.ts';
import { useSharedBroker } from '../support/broker.ts';
import { assertCredentialsWork, assertHonoured, type Claimed } from '../support/claim-assertions.ts';
import { objectsOf, openAndAwaitClose, declareObjects } from '../support/namespace-lifecycle.ts';
import { type Around, interceptManagement, interceptStore } from '../support/step-observer.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';

const OUTAGE_MS = 6_000;

/** How late a store answers that answers late. */
const LATE_MS = 400;

describe('rotation and expiry through an outage of', function () {
  this.timeout(120_000);
  useSharedBroker();

  const claim = async (client: PulseAgentClient, namespace: string, forMs = 3_600_000): Promise<Claimed> =>
    await client.claimNamespace({ namespace, expires: new Date(Date.now() + forMs) });

  const unavailable = (code: 'BrokerUnavailable' | 'StoreUnavailable') => new AgentError(code, 'By a test.');
  const isStore = (step: string): boolean => !step.startsWith('management.');
  const faults: readonly [string, Around][] = [
    [
      'the management API',
      async (step, call) => (isStore(step) ? await call() : raise(unavailable('BrokerUnavailable'))),
    ],
    ['the store', async (step, call) => (isStore(step) ? raise(unavailable('StoreUnavailable')) : await call())],
    [
      'the store, which answers late, and whose answers to writes get lost',
      async (step, call) => {
        if (isStore(step)) await sleep(LATE_MS);
        const result = await call();
        if (step === 'namespaces.replace' && Math.random() < 0.5) raise(unavailable('StoreUnavailable'));
        return result;
      },
    ],
  ];

  const outlive = async (outage: Around): Promise<void> => {
    /** What stands between the agent and its store and broker for the time being. */
    let fault: Around | undefined;
    /** Tells of each step that the agent takes, or tries to. */
    const agent = new EventEmitter();
    const around: Around = (step, call, args) => {
      agent.emit('step');
      return fault === undefined ? call() : fault(step, call, args);
    };
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 4, expiryNoticeSeconds: 1 } });
    await installation.start({
      wrapStore: (store) => interceptStore(store, around),
      wrapManagement: (management) => interceptManagement(management, around),
    });
    // It tries again: with so short an interval a broker call has half a second, which a busy machine may take longer for.
    const client = installation.client();
    const [living, ending] = [teamNamespace(), teamNamespace()];
    const given = [await claim(client, living)];
    const { connection, closed } = await openAndAwaitClose((await claim(client, ending, 3000)).connectionString);
    await declareObjects(connection, ending);
    fault = outage;
    const endMs = performance.now() + OUTAGE_MS;
    while (performance.now() < endMs) {
      for (const each of given) await assertHonoured(each);
      await once(agent, 'step');
    }
    fault = undefined;
    await installation.logged('namespace_deleted', { namespace: ending });
    await closed;
    assert.deepEqual(await objectsOf(installation, ending), []);
    // Rotated again, and again.
    const generations = new Set<string>();
    while (generations.size < 3) {
      const claimed = await claim(client, living);
      generations.add(claimed.connectionString);
      given.push(claimed);
      for (const each of given) await assertHonoured(each);
      await once(agent, 'step');
    }
    await assertCredentialsWork(given.at(-1) ?? assert.fail());
    await installation.remove();
  };

  // Each in an installation of its own: they wait for what is due.
  concurrentTests((it) => {
    for (const [what, outage] of faults) {
      it(`${what} breaks no credential that was handed out, and is made up for`, () => outlive(outage));
    }
  });
});

function raise(error: Error): never {
  throw error;
}
