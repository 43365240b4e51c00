import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
import { UNGUARDED } from '../../../src/broker/cluster.ts';
import { noAudit } from '../../../src/audit/audit.ts';
import { openManagement } from '../../../src/broker/management/open-management.ts';
import { systemClock, systemSleep } from '../../../src/util/clock.ts';
import { createLog } from '../../../src/util/log.ts';
import { createReporters } from '../../../src/reporters.ts';
import { createNamespaces } from '../../../src/namespaces/namespaces.ts';
import { makeInstallation } from '../../support/agent.ts';
import { BROKER_START_MS, manage } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { unique } from '../../support/folders.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { STORED_NONCE } from '../../support/nonces.ts';

const AGENTS = 3;
const ROTATIONS = 3;
const SOON_MS = 1000;

describe('rotation, repair and reconciliation in a tight loop on three agents', function () {
  this.timeout(BROKER_START_MS);

  it('refuse no credentials before their reclaimAt while another user changes the accounts', async () => {
    const { config, broker, names } = await makeInstallation({ settings: { rotationIntervalSeconds: 3 } });
    const vhost = encodeURIComponent(config.vhost);
    await manage(broker, 'PUT', `/exchanges/${vhost}/${encodeURIComponent(names.rpcExchange)}`, { type: 'direct' });
    const store = createMemoryStore();
    const stopping = new AbortController();
    const { signal } = stopping;
    const repaired = new Set<string>();
    const agents = Array.from({ length: AGENTS }, () => {
      const management = openManagement(config);
      addCleanup(async () => {
        management.close();
      });
      const settings = {
        config,
        store,
        management,
        cluster: UNGUARDED,
        clock: systemClock,
        sleep: systemSleep,
        randomBytes,
        random: Math.random,
        reporters: createReporters({
          events: {
            emit(type: string, data: object) {
              if (type === 'account.repaired' && 'repaired' in data) repaired.add(String(data.repaired));
            },
            emitAndWait: async () => undefined,
          },
          audit: noAudit,
          log: createLog(config, { write: () => undefined }),
          clock: systemClock,
        }),
      };
      return createNamespaces(settings);
    });
    const namespace = unique('taskcluster-team');
    const account = (slot: number): string => `${config.usernamePrefix}${namespace}-${slot}`;
    const [first] = agents;
    assert.ok(first !== undefined);
    const claim = () =>
      first.claim({ namespace, expiresMs: undefined, contact: null, claimedBy: 'team', nonce: STORED_NONCE }, signal);
    const generation = (): number => store.peek(namespace)?.generation ?? 0;

    await claim();
    const loop = async (work: () => Promise<unknown>): Promise<void> => {
      while (!signal.aborted) {
        await work();
        await sleep(1);
      }
    };
    const loops = Promise.all(
      agents.flatMap((agent) => [
        loop(() => agent.rotation.sweep(signal)),
        loop(() => agent.repair(namespace, signal)),
        loop(() => agent.reconcile(signal)),
      ]),
    );
    const given = new Map<string, number>();
    const refused: string[] = [];
    try {
      while (generation() <= ROTATIONS) {
        const { connectionString, reclaimAtMs } = await claim();
        given.set(connectionString, reclaimAtMs);
        for (const slot of [1, 2]) {
          await manage(broker, 'PUT', `/permissions/${vhost}/${account(slot)}`, EVERYTHING, [400]);
        }
        for (const [url, untilMs] of given) {
          if (untilMs <= Date.now() + SOON_MS) given.delete(url);
          else await opened(url).catch((error: unknown) => refused.push(String(error)));
        }
      }
    } finally {
      stopping.abort();
      await loops.catch((error: unknown) => {
        if (!(error instanceof Error && error.name === 'AbortError')) throw error;
      });
    }
    assert.deepEqual(refused, []);
    assert.deepEqual([...repaired], ['permissions'], 'only rotations wrote passwords');
  });
});

const EVERYTHING = { configure: '.*', write: '.*', read: '.*' };

async function opened(url: string): Promise<void> {
  await (await connect(url)).close();
}
