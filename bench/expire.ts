import { connect } from 'amqplib';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import { HASHING_ALGORITHM } from '../src/broker/management/management.ts';
import { openInstallation, CONCURRENCY } from './installation.ts';
import { medians, type Pair, timeOf } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACES = 1000;
const QUEUES_EACH = 5;
const ROUNDS = 3;

/** Measures one sweep that deletes all namespaces, against raw deletions of as many users and queues. */
export async function measureExpiry(site: Site, progress: (line: string) => void): Promise<Row> {
  const { management } = site;
  const installation = await openInstallation(site, 'expired-store', progress);
  const { expiry, rotation, intervals, signal, config } = installation;
  const deleteAll = async (): Promise<void> => {
    installation.advance(intervals.maxLifetimeMs);
    await expiry.sweep(signal);
  };
  try {
    const pairs: Pair[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      progress(
        `preparing ${NAMESPACES} namespaces with ${NAMESPACES * QUEUES_EACH} queues, and as many users and queues for raw deletions`,
      );
      const names = namesOf('deleted', round);
      const rawNames = namesOf('raw', round);
      await installation.claim(names);
      installation.advance(2 * intervals.rotationMs);
      await rotation.sweep(signal);
      const user = { passwordHash: '', hashingAlgorithm: HASHING_ALGORITHM, tags: [] };
      await forEachConcurrently(
        accountsOf(rawNames),
        CONCURRENCY,
        async (name) => void (await management.putUser(name, user)),
      );
      await declareQueues(site, [...queuesOf(names), ...queuesOf(rawNames)]);
      progress('deletion');
      const raw = async (): Promise<void> => {
        await forEachConcurrently(
          accountsOf(rawNames),
          CONCURRENCY,
          async (name) => void (await management.deleteUser(name)),
        );
        await forEachConcurrently(queuesOf(rawNames), CONCURRENCY, async (name) => {
          await management.deleteQueue(config.vhost, name);
        });
      };
      pairs.push([await timeOf(raw), await timeOf(deleteAll)]);
      const left = (await management.listQueues(config.vhost)).filter(({ name }) =>
        name.includes('taskcluster-deleted'),
      );
      if (left.length > 0) throw new Error(`${left.length} queues were not deleted.`);
    }
    const { rawMs, oursMs, ratio } = medians(pairs);
    return {
      what: `deletion of ${NAMESPACES} namespaces with ${NAMESPACES * QUEUES_EACH} queues (LMDB)`,
      measured: `${(oursMs / 1000).toFixed(1)} s`,
      limit: `the same deletions raw, ${CONCURRENCY} concurrent: ${(rawMs / 1000).toFixed(1)} s`,
      ratio,
      atMost: 1.3,
    };
  } finally {
    await installation.close();
  }
}

function namesOf(kind: string, round: number): string[] {
  return Array.from({ length: NAMESPACES }, (_, index) => `taskcluster-${kind}-${round}-${index}`);
}

function accountsOf(names: readonly string[]): string[] {
  return names.flatMap((name) => [`${name}-1`, `${name}-2`]);
}

function queuesOf(names: readonly string[]): string[] {
  return names.flatMap((name) => Array.from({ length: QUEUES_EACH }, (_, index) => `queue/${name}/${index}`));
}

async function declareQueues({ broker }: Site, names: readonly string[]): Promise<void> {
  const connection = await connect(broker.amqpUrl);
  const channel = await connection.createChannel();
  await forEachConcurrently(names, CONCURRENCY, async (name) => void (await channel.assertQueue(name)));
  await connection.close();
}
