import { randomBytes } from 'node:crypto';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import { HASHING_ALGORITHM } from '../src/broker/management/management.ts';
import { hashPassword } from '../src/broker/password-hash.ts';
import { Secret } from '../src/util/secret.ts';
import { openInstallation, CONCURRENCY } from './installation.ts';
import { medians, type Pair, timeOf } from './load.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACES = 1000;
const ROUNDS = 5;

/** A user with another password each time. */
function changedUser() {
  const passwordHash = hashPassword(new Secret(randomBytes(32).toString('base64url')), randomBytes(4));
  return { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags: [] };
}

/** Measures one sweep that rotates all namespaces, against as many raw password changes. */
export async function measureRotation(site: Site, progress: (line: string) => void): Promise<Row> {
  const { management } = site;
  const installation = await openInstallation(site, 'rotated-store', progress);
  const { rotation, intervals, signal } = installation;
  const names = Array.from({ length: NAMESPACES }, (_, index) => `taskcluster-rotated-${index}`);
  const raw = () =>
    forEachConcurrently(
      names,
      CONCURRENCY,
      async (name) => void (await management.putUser(`raw-${name}`, changedUser())),
    );
  const rotateAll = async (): Promise<void> => {
    // After all jitter, and after the times until which the standby accounts were promised.
    installation.advance(2 * intervals.rotationMs);
    await rotation.sweep(signal);
  };
  try {
    progress(`preparing ${NAMESPACES} namespaces`);
    await raw();
    await installation.claim(names);
    // The first rotation creates the second account with its permissions; the second one only changes a password.
    await rotateAll();
    await rotateAll();
    progress('rotations');
    const pairs: Pair[] = [];
    for (let round = 0; round < ROUNDS; round += 1) pairs.push([await timeOf(raw), await timeOf(rotateAll)]);
    const { rawMs, oursMs, ratio } = medians(pairs);
    return {
      what: `rotation of ${NAMESPACES} namespaces (LMDB)`,
      measured: `${Math.round(oursMs)} ms`,
      limit: `as many raw PUTs, ${CONCURRENCY} concurrent: ${Math.round(rawMs)} ms`,
      ratio,
      atMost: 1.3,
    };
  } finally {
    await installation.close();
  }
}
