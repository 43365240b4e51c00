import type { PulseAgentClient } from '../src/client/client.ts';
import { createRandom } from '../test/simulation/random.ts';
import type { RunContext } from './run-context.ts';
import { namespaceNames, release } from './tenants.ts';
import { pause } from './pause.ts';

/** The mean time between two acts, in ms. */
const EVERY_MS = 4_000;

/** An operator who revokes and releases namespaces at random. */
export async function runOperator(
  context: RunContext,
  { seed, namespaces, client, signal }: OperatorOptions,
): Promise<void> {
  const random = createRandom(seed * 13 + 5);
  const names = namespaceNames(namespaces);
  const releases = new Set<Promise<void>>();
  while (!signal.aborted) {
    await pause(random.between(0.2, 1.8) * EVERY_MS, signal);
    if (signal.aborted) break;
    const namespace = random.pick(names);
    const act = random.weighted({ revoke: 4, 'revoke-until': 1, release: 2 } as const);
    context.journal.note(`operator: ${act} ${namespace}`);
    if (act === 'release') {
      const released = release(context, client, namespace, 'released by an operator');
      releases.add(released);
      void released.finally(() => releases.delete(released));
      continue;
    }
    await revoke(context, client, namespace, act === 'revoke' ? undefined : random.between(5_000, 20_000));
  }
  await Promise.all(releases);
}

/** What an operator is. */
export interface OperatorOptions {
  readonly seed: number;
  readonly namespaces: number;
  readonly client: PulseAgentClient;
  readonly signal: AbortSignal;
}

async function revoke(
  { ledger, figures }: RunContext,
  client: PulseAgentClient,
  namespace: string,
  forMs: number | undefined,
): Promise<void> {
  const ending = ledger.ending(namespace, Date.now());
  try {
    await client.revokeNamespace(namespace, forMs === undefined ? {} : { until: new Date(Date.now() + forMs) });
    ending.revoked(Date.now());
    figures.count('revocations');
  } catch {
    // Also where the last attempt was refused: one before may have been served.
    ending.unknown(Date.now());
    figures.count('revocations that failed');
  }
}
