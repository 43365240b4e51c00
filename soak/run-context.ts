import type { PulseAgentClient } from '../src/client/client.ts';
import type { Claim } from '../src/contract/methods.ts';
import type { Figures } from './figures.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import type { Registry } from './registry.ts';
import type { Report } from './violation.ts';
import type { World } from './world.ts';

/** What load and watchers share. */
export interface RunContext {
  readonly world: World;
  readonly ledger: Ledger;
  readonly figures: Figures;
  readonly journal: Journal;
  readonly registry: Registry;
  readonly report: Report;
  /** Queues that have grown so large that the agent deletes them. */
  readonly overgrown: Set<string>;
  /** Those of them that it has deleted. */
  readonly deletedQueues: Set<string>;
}

/** Books the answer of a claim. */
export function bookClaim(
  { ledger, figures }: Pick<RunContext, 'ledger' | 'figures'>,
  {
    namespace,
    connectionString,
    reclaimAt,
  }: Pick<Claim, 'namespace' | 'connectionString'> & { reclaimAt: string | Date },
): void {
  const { username, password } = new URL(connectionString);
  const nowMs = Date.now();
  const reclaimMs = new Date(reclaimAt).getTime();
  ledger.handedOut({ namespace, username, password: decodeURIComponent(password), reclaimMs }, nowMs);
  figures.served(nowMs);
}

/** The clients of a run. Each has one connection for all its requests. */
export interface Clients {
  readonly holders: readonly PulseAgentClient[];
  readonly operator: PulseAgentClient;
}
