import { setTimeout as sleep } from 'node:timers/promises';
import { startBuiltAgent } from './built-agent.ts';
import { load } from './load.ts';
import type { Resident } from './process-figures.ts';
import { assertResult, openRequester, prepareRequest } from './requests.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACES = 10_000;
const OPERATIONS = 100_000;
const PARTS = 5;
const CONCURRENCY = 32;

/**
 * Short enough that every namespace is rotated while the bench waits, and long enough that no rotation adds garbage during
 * the measurements.
 */
const ROTATION_SECONDS = 600;
const POLL_EVERY_MS = 5_000;

/** Measures an agent's memory after it has claimed and rotated many namespaces, and its growth with further claims. */
export async function measureMemoryInUse(site: Site, progress: (line: string) => void): Promise<Row[]> {
  const settings = site.writeSettings({ rotationIntervalSeconds: ROTATION_SECONDS });
  const agent = await startBuiltAgent(site, 'used-store', { environment: { PULSE_AGENT_CONFIG: settings } });
  const requester = await openRequester(site.requestAmqpUrl);
  const expires = new Date(Date.now() + 30 * 24 * 3_600_000).toISOString();
  const claim = async (index: number): Promise<void> => {
    const namespace = `taskcluster-used-${index % NAMESPACES}`;
    assertResult(await requester.send(prepareRequest(site, 'claim-namespace', { namespace, expires })));
  };
  try {
    progress(`${NAMESPACES} claims`);
    await load({ count: NAMESPACES, concurrency: CONCURRENCY, warmUp: 0 }, claim);
    progress('waiting until each of them is rotated');
    while ((await secondAccounts(site)) < NAMESPACES) await sleep(POLL_EVERY_MS);
    const rotated = await agent.resident();
    const sizes: Resident[] = [];
    for (let part = 1; part <= PARTS; part += 1) {
      progress(`${(part * OPERATIONS) / PARTS} re-claims`);
      await load({ count: OPERATIONS / PARTS, concurrency: CONCURRENCY, warmUp: 0 }, claim);
      sizes.push(await agent.resident());
    }
    const [first = rotated] = sizes;
    const last = sizes.at(-1) ?? rotated;
    return [
      {
        what: `memory after ${NAMESPACES.toLocaleString('en')} namespaces were claimed and rotated`,
        measured: textOf(rotated),
        limit: '120 MB',
        ratio: rotated.ownMb / 120,
        atMost: 1,
      },
      {
        what: `memory after ${OPERATIONS.toLocaleString('en')} more operations`,
        measured: textOf(last),
        limit: `after the first ${(OPERATIONS / PARTS).toLocaleString('en')}: ${textOf(first)}`,
        ratio: last.ownMb / first.ownMb,
        atMost: 1.1,
      },
    ];
  } finally {
    await requester.close();
    await agent.stop();
  }
}

function textOf({ ownMb, storeMb }: Resident): string {
  return `${ownMb.toFixed(0)} MB resident, and ${storeMb.toFixed(0)} MB of the mapped store`;
}

async function secondAccounts({ management }: Site): Promise<number> {
  const users = await management.listUsers();
  return users.filter(({ name }) => name.startsWith('taskcluster-used-') && name.endsWith('-2')).length;
}
