import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Resident, startBuiltAgent } from './built-agent.ts';
import { load } from './load.ts';
import { mustBeResult, openRequester, prepareRequest } from './requests.ts';
import type { Site } from './site.ts';
import type { Row } from './table.ts';

const NAMESPACES = 10_000;
const OPERATIONS = 100_000;
const PARTS = 5;
const AT_ONCE = 32;

/**
 * Short, so that every namespace is rotated while the bench waits, and long enough for all that is measured to be between
 * two rotations: an agent that is at work has garbage beside.
 */
const ROTATION_SECONDS = 600;
const LOOK_EVERY_MS = 5_000;

/** The resident memory of an agent that has claimed and rotated many namespaces, and how it grows with what it does. */
export async function measureMemoryInUse(site: Site, say: (line: string) => void): Promise<Row[]> {
  const settings = join(site.folder, 'memory.yml');
  writeFileSync(settings, `rotationIntervalSeconds: ${ROTATION_SECONDS}\n`);
  const agent = await startBuiltAgent(site, 'used-store', { PULSE_AGENT_CONFIG: settings });
  const requester = await openRequester(site.broker.amqpUrl);
  const expires = new Date(Date.now() + 30 * 24 * 3_600_000).toISOString();
  const claim = async (index: number): Promise<void> => {
    const namespace = `taskcluster-used-${index % NAMESPACES}`;
    mustBeResult(await requester.send(prepareRequest('claim-namespace', { namespace, expires }, site.credentials)));
  };
  try {
    say(`${NAMESPACES} claims`);
    await load({ count: NAMESPACES, atOnce: AT_ONCE, warmUp: 0 }, claim);
    say('waiting until each of them is rotated');
    while ((await secondAccounts(site)) < NAMESPACES) await sleep(LOOK_EVERY_MS);
    const rotated = await agent.resident();
    const sizes: Resident[] = [];
    for (let part = 1; part <= PARTS; part += 1) {
      say(`${(part * OPERATIONS) / PARTS} re-claims`);
      await load({ count: OPERATIONS / PARTS, atOnce: AT_ONCE, warmUp: 0 }, claim);
      sizes.push(await agent.resident());
    }
    const [first = rotated] = sizes;
    const last = sizes.at(-1) ?? rotated;
    return [
      {
        what: `memory after ${NAMESPACES.toLocaleString('en')} namespaces were claimed and rotated`,
        measured: tell(rotated),
        limit: '120 MB',
        ratio: rotated.ownMb / 120,
        atMost: 1,
      },
      {
        what: `memory after ${OPERATIONS.toLocaleString('en')} more operations`,
        measured: tell(last),
        limit: `after the first ${(OPERATIONS / PARTS).toLocaleString('en')}: ${tell(first)}`,
        ratio: last.ownMb / first.ownMb,
        atMost: 1.1,
      },
    ];
  } finally {
    await requester.close();
    await agent.stop();
  }
}

function tell({ ownMb, storeMb }: Resident): string {
  return `${ownMb.toFixed(0)} MB resident, and ${storeMb.toFixed(0)} MB of the mapped store`;
}

async function secondAccounts({ management }: Site): Promise<number> {
  const users = await management.listUsers();
  return users.filter(({ name }) => name.startsWith('taskcluster-used-') && name.endsWith('-2')).length;
}
