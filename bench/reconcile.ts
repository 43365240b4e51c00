import { contractNames } from '../src/contract/names.ts';
import { openInstallation } from './installation.ts';
import { medians, type Pair } from './limits.ts';
import { timeOf } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACES = 10_000;
const ROUNDS = 5;

/** Measures one reconciliation without drift, against the listings that it needs. */
export async function measureReconcile(site: Site, progress: (line: string) => void): Promise<Row> {
  const { management } = site;
  const installation = await openInstallation(site, 'reconciled-store', progress);
  const { reconcile, signal, config } = installation;
  const { rpcExchange } = contractNames(config.id);
  try {
    progress(`preparing ${NAMESPACES} namespaces`);
    await installation.claim(Array.from({ length: NAMESPACES }, (_, index) => `taskcluster-reconciled-${index}`));
    progress('reconciliation');
    const raw = async (): Promise<void> => {
      await management.listBindingsInto(config.requestVhost, rpcExchange);
      await Promise.all([
        management.visitUsers(() => undefined),
        management.visitPermissions(() => undefined),
        management.listTopicPermissions(),
        management.visitUserLimits(() => undefined),
        management.listConnections(config.vhost),
        management.listConnections(config.requestVhost),
        management.listOpenConnections(),
      ]);
    };
    // The first one derives every password.
    const { repaired, namespaces } = await reconcile(signal);
    if (repaired !== 0 || namespaces < NAMESPACES) throw new Error('The reconciliation should have found no drift.');
    const pairs: Pair[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      pairs.push([await timeOf(raw), await timeOf(() => reconcile(signal))]);
    }
    const { rawMs, oursMs, ratio } = medians(pairs);
    return {
      what: `reconciliation of ${NAMESPACES.toLocaleString('en')} accounts without drift (LMDB)`,
      measured: `${Math.round(oursMs)} ms`,
      limit: `the listings it needs: ${Math.round(rawMs)} ms`,
      ratio,
      atMost: 1.5,
    };
  } finally {
    await installation.close();
  }
}
