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

/** The delay of a slow store, in ms. */
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
    /** The current fault between the agent and its store and broker. */
    let fault: Around | undefined;
    /** Emits `step` for each call of the store or the broker. */
    const agent = new EventEmitter();
    const around: Around = (step, call, args) => {
      agent.emit('step');
      return fault === undefined ? call() : fault(step, call, args);
    };
    const installation = await makeInstallation({
      settings: { rotationIntervalSeconds: 4, expiryAnnouncementSeconds: 1 },
    });
    await installation.start({
      wrapStore: (store) => interceptStore(store, around),
      wrapManagement: (management) => interceptManagement(management, around),
    });
    // Retried, because with such a short interval a broker call times out after half a second.
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
    // Until it was rotated twice more.
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

  // Concurrent, each in its own installation: they mostly wait for rotations.
  concurrentTests((it) => {
    for (const [what, outage] of faults) {
      it(`${what} invalidates no credentials, and missed work is done afterwards`, () => outlive(outage));
    }
  });
});

function raise(error: Error): never {
  throw error;
}
