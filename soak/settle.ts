import { MongoClient } from 'mongodb';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import type { PulseAgentClient } from '../src/client/client.ts';
import { leftovers, listOwned } from './leftover-watch.ts';
import { missingNotices } from './notice-watch.ts';
import type { Probe } from './probe.ts';
import type { RunContext } from './run-context.ts';
import type { SecretScan } from './secret-scan.ts';
import { Violation } from './violation.ts';
import { pause } from './pause.ts';

/** How long things may take after the last fault, in ms. */
const GONE_WITHIN_MS = 180_000;
/** The same for each namespace: FerretDB takes a while for a thousand. */
const GONE_EACH_MS = 500;
const CLEAN_WITHIN_MS = 30_000;
const ANSWERED_WITHIN_MS = 60_000;
const MAILED_WITHIN_MS = 120_000;

const EVERY_MS = 2_000;
const RELEASES_AT_ONCE = 8;
const SHOWN = 10;

/** What the end of a run needs. */
export interface SettleParts {
  readonly context: RunContext;
  readonly probe: Pick<Probe, 'open'>;
  readonly scan: SecretScan;
  readonly operator: PulseAgentClient;
  /** How many there were. */
  readonly namespaces: number;
  readonly signal: AbortSignal;
}

/** Releases everything and waits until nothing is left, all requests are answered and all notices mailed. */
export async function settle({ context, probe, scan, operator, namespaces, signal }: SettleParts): Promise<void> {
  const { registry, journal, report, ledger } = context;

  journal.say('releasing all namespaces');
  let left: ReadonlySet<string> | undefined;
  const released = new Set<string>();
  const areGone = async (): Promise<boolean> => {
    left = await registry.list();
    if (left === undefined) return false;
    const held = [...left].filter((namespace) => !released.has(namespace));
    await forEachConcurrently(held, RELEASES_AT_ONCE, async (namespace) => {
      const ending = ledger.ending(namespace, Date.now());
      try {
        await operator.releaseNamespace(namespace);
        ending.released(Date.now());
        released.add(namespace);
      } catch {
        // The next listing shows whether it was released all the same.
        ending.unknown(Date.now());
      }
    });
    return left.size === 0;
  };
  if (!(await until(areGone, GONE_WITHIN_MS + namespaces * GONE_EACH_MS, signal))) {
    const names = [...(left ?? [])].slice(0, SHOWN);
    report(new Violation('deletion', `${left?.size} namespaces are not deleted in time: ${names.join(', ')}.`, names));
    return;
  }

  journal.say('looking for what is left');
  let found: readonly { what: string; namespace: string }[] = [];
  const isClean = async (): Promise<boolean> => {
    const all = await listOwned(context);
    found = all === undefined ? found : leftovers(all, new Set(), new Set());
    return all !== undefined && found.length === 0;
  };
  if (!(await until(isClean, CLEAN_WITHIN_MS, signal))) {
    const all = found.map(({ what }) => what).slice(0, SHOWN);
    report(new Violation('deletion', `After all namespaces are deleted, this is left: ${all.join(', ')}.`, all));
    return;
  }

  if (!(await until(async () => probe.open() === 0, ANSWERED_WITHIN_MS, signal))) {
    report(new Violation('requests', `${probe.open()} requests were neither answered nor dead-lettered.`));
    return;
  }
  if (!(await until(async () => missingNotices(context).length === 0, MAILED_WITHIN_MS, signal))) {
    const queues = missingNotices(context).slice(0, SHOWN);
    report(new Violation('notices', `The deletion of these queues was not mailed: ${queues.join(', ')}.`, queues));
    return;
  }

  const text = await storeText(context.world.storeUrl);
  context.figures.count('bytes of the store looked through for secrets', text.length);
  scan.check(text, 'The store');
}

/** @returns whether it became true in time; also when the signal aborts, which is no failure of this */
async function until(isTrue: () => Promise<boolean>, withinMs: number, signal: AbortSignal): Promise<boolean> {
  const lateMs = performance.now() + withinMs;
  while (!signal.aborted) {
    if (await isTrue()) return true;
    if (performance.now() > lateMs) return false;
    await pause(EVERY_MS, signal);
  }
  return true;
}

/** All documents of the store. */
async function storeText(storeUrl: string): Promise<string> {
  const client = new MongoClient(storeUrl, { directConnection: true });
  try {
    const texts: string[] = [];
    for (const { name } of await client.db().listCollections().toArray()) {
      const documents = await client.db().collection(name).find().toArray();
      texts.push(...documents.map((document) => JSON.stringify(document)));
    }
    return texts.join('\n');
  } finally {
    await client.close();
  }
}
