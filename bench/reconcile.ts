import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { noAudit } from '../src/notify/audit.ts';
import { forEachAtOnce } from '../src/at-once.ts';
import { createBindingRemover } from '../src/broker/foreign-bindings.ts';
import { systemClock } from '../src/clock.ts';
import { loadConfig } from '../src/config.ts';
import { contractNames } from '../src/contract/names.ts';
import { createLog } from '../src/log.ts';
import { createNamespaceParts } from '../src/composition/namespace-parts.ts';
import { createRepairParts } from '../src/composition/repair-parts.ts';
import { openStore } from '../src/store/open.ts';
import { median } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACES = 10_000;
const ROUNDS = 5;

/** One comparison of the broker with the store when nothing is wrong, against the listings that it needs. */
export async function measureReconcile(site: Site, say: (line: string) => void): Promise<Row> {
  const { management } = site;
  const config = loadConfig(site.agentEnvironment(`lmdb:${join(site.folder, 'reconciled-store')}`));
  const store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes });
  const settings = {
    config,
    store,
    management,
    clock: systemClock,
    randomBytes,
    random: Math.random,
    log: createLog(config, { write: say }),
    events: { emit: () => undefined },
    audit: noAudit,
  };
  const parts = createNamespaceParts(settings);
  const remover = createBindingRemover({ amqpUrl: config.rabbitmqUrl, id: config.id, vhost: config.vhost, management });
  const { reconcile } = createRepairParts(settings, parts, remover);
  const { signal } = new AbortController();
  const { rpcExchange } = contractNames(config.id);
  try {
    say(`${NAMESPACES} namespaces for the comparison`);
    const names = Array.from({ length: NAMESPACES }, (_, index) => `taskcluster-compared-${index}`);
    await forEachAtOnce(names, 32, async (namespace) => {
      const claim = { namespace, expiresMs: undefined, contact: null, claimedBy: 'bench' };
      await parts.claimNamespace(claim, signal);
    });
    say('comparison of the broker with the store');
    const raw = async (): Promise<void> => {
      await management.listBindingsInto(config.vhost, rpcExchange);
      await Promise.all([
        management.listUsers(),
        management.listPermissions(config.vhost),
        management.listUserLimits(),
        management.listConnections(config.vhost),
      ]);
    };
    // The first one derives every password.
    const { repaired, namespaces } = await reconcile(signal);
    if (repaired !== 0 || namespaces < NAMESPACES) throw new Error('The comparison should have found nothing wrong.');
    const pairs: [number, number][] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      pairs.push([await timeOf(raw), await timeOf(() => reconcile(signal))]);
    }
    return {
      what: `comparison of ${NAMESPACES.toLocaleString('en')} accounts with nothing wrong (LMDB)`,
      measured: `${Math.round(median(pairs.map(([, ours]) => ours)))} ms`,
      limit: `the listings it needs: ${Math.round(median(pairs.map(([listings]) => listings)))} ms`,
      ratio: median(pairs.map(([listings, ours]) => ours / listings)),
      atMost: 1.5,
    };
  } finally {
    await remover.close();
    await store.close();
  }
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
