import { RequestConflict } from '../src/client/client-errors.ts';
import type { PulseAgentClient } from '../src/client/client.ts';
import type { Lease } from '../src/client/lease.ts';
import { createRandom } from '../test/simulation/random.ts';
import { drawLife, type Life } from './life-plan.ts';
import { bookClaim, type RunContext } from './run-context.ts';
import { startWork } from './work.ts';
import { PREFIX } from './settings.ts';
import { pause } from './pause.ts';

/** How many namespaces at most have publishers and consumers. */
const MAX_WORKING = 50;

/** How long a claim is tried, in ms: a name that was just deleted is blocked for half a minute. */
const CLAIM_TIMEOUT_MS = 60_000;

/** The pause after a claim that failed for good, in ms. */
const RETRY_MS = 1_000;

/** What the tenants of a run are. */
export interface TenantsOptions {
  readonly seed: number;
  readonly namespaces: number;
  readonly holders: readonly PulseAgentClient[];
  /** How long the first claims are spread over, in ms. */
  readonly rampUpMs: number;
  /** Ends all lives: leases are stopped, and nothing is claimed again. */
  readonly signal: AbortSignal;
}

/** The names of the namespaces of a run. */
export function namespaceNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${PREFIX}soak-${String(index).padStart(4, '0')}`);
}

/** The holders of all namespaces: they claim, hold, release or abandon them, and claim them again. */
export async function runTenants(context: RunContext, options: TenantsOptions): Promise<void> {
  const names = namespaceNames(options.namespaces);
  await Promise.all(names.map((name, index) => liveOn(context, options, name, index)));
}

async function liveOn(context: RunContext, options: TenantsOptions, name: string, index: number): Promise<void> {
  const { signal, seed, namespaces, rampUpMs, holders } = options;
  const random = createRandom(seed * 31 + index);
  // Evenly spread over all names, so that the first ones are not special.
  const isWorking = index % Math.max(2, Math.ceil(namespaces / MAX_WORKING)) === 0;
  const client = holders[index % holders.length] as PulseAgentClient;
  await pause((rampUpMs * index) / namespaces, signal);
  for (let life = 0; !signal.aborted; life += 1) {
    const plan = drawLife(random, isWorking, namespaces);
    const lease = await claimLease(context, client, name, plan, signal);
    if (lease === undefined) return;
    context.figures.count('lives');
    const work = plan.work && startWork(context, lease, plan.work, `${life}`);
    const wasLost = await held(lease, plan.holdMs, signal);
    // The connections are open until the lease is stopped, and what waits for a node ends with them.
    const worked = work?.stop();
    if (!wasLost) await end(context, client, lease, plan, signal);
    await worked;
  }
}

async function claimLease(
  context: RunContext,
  client: PulseAgentClient,
  namespace: string,
  { lifetimeMs }: Life,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const { figures } = context;
  const expires = lifetimeMs === undefined ? {} : { expires: () => new Date(Date.now() + lifetimeMs) };
  while (!signal.aborted) {
    try {
      const contact = `owner-of-${namespace}@example.com`;
      const lease = await client.lease({ namespace, contact, ...expires }, { signal, timeoutMs: CLAIM_TIMEOUT_MS });
      const book = (): void => bookClaim(context, lease);
      book();
      lease.on('renewed', book);
      lease.on('failing', () => figures.count('renewals that failed and were tried again'));
      return lease;
    } catch (error) {
      if (signal.aborted) return undefined;
      figures.count(`first claims that failed: ${error instanceof RequestConflict ? 'conflict' : 'unavailable'}`);
      await pause(RETRY_MS, signal);
    }
  }
  return undefined;
}

/** Waits for the end of a lease. @returns whether it was lost before */
async function held(lease: Lease, forMs: number, signal: AbortSignal): Promise<boolean> {
  const lost = new AbortController();
  lease.once('lost', () => lost.abort());
  await pause(forMs, AbortSignal.any([signal, lost.signal]));
  return lost.signal.aborted;
}

async function end(
  context: RunContext,
  client: PulseAgentClient,
  lease: Lease,
  plan: Life,
  signal: AbortSignal,
): Promise<void> {
  const { namespace } = lease;
  await lease.stop();
  if (signal.aborted) return;
  if (plan.end === 'release') await release(context, client, namespace, 'released by their holder');
  else context.figures.count('abandoned until they expire');
  await context.registry.untilAbsent(namespace, signal);
}

/** Releases a namespace, and books what it knows of the outcome. */
export async function release(
  { ledger, figures, registry }: Pick<RunContext, 'ledger' | 'figures' | 'registry'>,
  client: PulseAgentClient,
  namespace: string,
  figure: string,
): Promise<void> {
  const ending = ledger.ending(namespace, Date.now());
  try {
    await client.releaseNamespace(namespace);
    ending.released(Date.now());
    figures.count(figure);
    // Where it is claimed again meanwhile, only the time limit ends this wait.
    const late = AbortSignal.timeout(GONE_WITHIN_MS);
    await registry.untilAbsent(namespace, late);
    if (!late.aborted) ending.gone(Date.now());
  } catch {
    // Also where the last attempt was refused: one before may have been served.
    ending.unknown(Date.now());
    figures.count('releases that failed');
  }
}

/** How long a deletion is waited for, in ms: the management API may be cut. */
const GONE_WITHIN_MS = 90_000;
