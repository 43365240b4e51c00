import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../src/util/clock.ts';
import { openStore } from '../src/store/open-store.ts';
import type { NamespaceRecord } from '../src/store/namespace-record.ts';
import { median, withWarmUp } from './load.ts';
import { runClaims } from './claims.ts';
import { startProcess } from './processes.ts';
import { openRequester, prepareRequest } from './requests.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const SIZES = [10, 10_000, 100_000];
const ROUNDS = 3;

/** Measures claims with growing stores: the rate should not depend on the number of stored namespaces. */
export async function measureGrowth(site: Site, progress: (line: string) => void): Promise<Row[]> {
  const rates: number[] = [];
  for (const size of SIZES) {
    progress(`claims with ${size} namespaces stored`);
    const storeUrl = `lmdb:${join(site.folder, 'growing-store')}`;
    await fill(storeUrl, size);
    const agent = await startProcess('agent-process.ts', {
      ...site.agentEnvironment(storeUrl),
      BENCH_AUTH: 'in-process',
    });
    const requester = await openRequester(site.requestAmqpUrl);
    try {
      const run = { count: 600, concurrency: 32 };
      const rounds: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const claims = Array.from({ length: withWarmUp(run.count) }, (_, index) =>
          prepareRequest(
            'claim-namespace',
            { namespace: `taskcluster-grown-${size}-${round}-${index}` },
            site.credentials,
          ),
        );
        rounds.push((await runClaims(requester, claims, run)).perSecond);
      }
      rates.push(median(rounds));
    } finally {
      await requester.close();
      await agent.stop();
    }
  }
  const [first = Number.NaN] = rates;
  return SIZES.slice(1).map((size, index) => ({
    what: `new claims with ${size.toLocaleString('en')} namespaces stored (LMDB)`,
    measured: `${Math.round(rates[index + 1] ?? Number.NaN)}/s`,
    limit: `with ${SIZES[0]}: ${Math.round(first)}/s`,
    ratio: (rates[index + 1] ?? Number.NaN) / first,
    atLeast: 0.8,
  }));
}

async function fill(storeUrl: string, size: number): Promise<void> {
  const store = await openStore(storeUrl, { clock: systemClock, randomBytes });
  const writes: Promise<boolean>[] = [];
  for (let index = 0; index < size; index += 1) {
    writes.push(store.namespaces.insert(recordOf(`taskcluster-stored-${index}`)));
    if (writes.length === 1000) await Promise.all(writes.splice(0));
  }
  await Promise.all(writes);
  await store.close();
}

function recordOf(namespace: string): NamespaceRecord {
  const nowMs = Date.now();
  return {
    namespace,
    revision: 1,
    state: 'active',
    incarnation: randomBytes(16).toString('base64url'),
    generation: 1,
    slots: [
      { generation: 1, secretId: 'bench', promisedUntilMs: nowMs },
      { generation: 0, secretId: '', promisedUntilMs: 0 },
    ],
    nextSecretId: 'bench',
    createdMs: nowMs,
    expiresMs: nowMs + 86_400_000,
    nextRotationMs: nowMs + 3_600_000,
    contact: 'team@example.com',
    claimedBy: 'project/team/service',
    revokedUntilMs: null,
    revokedMs: null,
    permissionsVersion: 1,
    deletedAtMs: null,
    deletionReason: null,
    expiryAnnouncedForMs: 0,
    recheckAtMs: null,
  };
}
