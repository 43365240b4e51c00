import { contractNames } from '../src/contract/names.ts';
import { openInstallation } from './installation.ts';
import { medians, type Pair, timeOf } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACES = 10_000;
const ROUNDS = 5;

/** One comparison of the broker with the store when nothing is wrong, against the listings that it needs. */
export async function measureReconcile(site: Site, say: (line: string) => void): Promise<Row> {
  const { management } = site;
  const installation = await openInstallation(site, 'reconciled-store', say);
  const { reconcile, signal, config } = installation;
  const { rpcExchange } = contractNames(config.id);
  try {
    say(`${NAMESPACES} namespaces for the comparison`);
    await installation.claim(Array.from({ length: NAMESPACES }, (_, index) => `taskcluster-compared-${index}`));
    say('comparison of the broker with the store');
    const raw = async (): Promise<void> => {
      await management.listBindingsInto(config.vhost, rpcExchange);
      await Promise.all([
        management.listUsers(),
        management.visitPermissions(config.vhost, () => undefined),
        management.visitUserLimits(() => undefined),
        management.listConnections(config.vhost),
      ]);
    };
    // The first one derives every password.
    const { repaired, namespaces } = await reconcile(signal);
    if (repaired !== 0 || namespaces < NAMESPACES) throw new Error('The comparison should have found nothing wrong.');
    const pairs: Pair[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      pairs.push([await timeOf(raw), await timeOf(() => reconcile(signal))]);
    }
    const { rawMs, oursMs, ratio } = medians(pairs);
    return {
      what: `comparison of ${NAMESPACES.toLocaleString('en')} accounts with nothing wrong (LMDB)`,
      measured: `${Math.round(oursMs)} ms`,
      limit: `the listings it needs: ${Math.round(rawMs)} ms`,
      ratio,
      atMost: 1.5,
    };
  } finally {
    await installation.close();
  }
}
