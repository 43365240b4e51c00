import type { ClaimNonce } from '../src/namespaces/claim/decide-claim.ts';
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import { systemClock, systemSleep } from '../src/util/clock.ts';
import { UNGUARDED } from '../src/broker/cluster.ts';
import { createReporters } from '../src/reporters.ts';
import { createNamespaces, type Namespaces, type NamespacesParts } from '../src/namespaces/namespaces.ts';
import { type Config, loadConfig } from '../src/config/config.ts';
import { createLog } from '../src/util/log.ts';
import { noAudit } from '../src/audit/audit.ts';
import type { QueuesContext } from '../src/queues/queues.ts';
import { openStore } from '../src/store/open-store.ts';
import type { Site } from './site.ts';

/** The rooms of an agent that work on namespaces, in this process, with their own LMDB store. */
export interface BenchInstallation extends Omit<Namespaces, 'claim'> {
  readonly config: Config;
  /** For further rooms, such as the queues. */
  readonly context: BenchContext;
  readonly signal: AbortSignal;
  /** Advances the agent's clock. */
  advance(ms: number): void;
  /** Claims namespaces for thirty days. */
  claim(names: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

type BenchContext = QueuesContext & NamespacesParts;

const LIFETIME_MS = 30 * 24 * 3_600_000;

/** The agent's own limit of concurrent management calls. */
export const CONCURRENCY = 32;

/**
 * Opens an installation on the site's broker.
 *
 * @param storeName its LMDB store, in the folder of the site
 */
export async function openInstallation(
  site: Site,
  storeName: string,
  progress: (line: string) => void,
  environment: Readonly<Record<string, string>> = {},
): Promise<BenchInstallation> {
  const { management } = site;
  const config = loadConfig({ ...site.agentEnvironment(`lmdb:${join(site.folder, storeName)}`), ...environment });
  let aheadMs = 0;
  const clock = {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
  };
  const store = await openStore(config.storeUrl.reveal(), { clock, randomBytes });
  const log = createLog(config, { write: progress });
  const events = { emit: () => undefined, emitAndWait: async () => undefined };
  const settings: Omit<BenchContext, 'exempt'> = {
    config,
    store,
    management,
    cluster: UNGUARDED,
    clock,
    randomBytes,
    sleep: systemSleep,
    random: Math.random,
    statistics: { lagMs: () => 8_000 },
    log,
    jobs: { trigger: () => undefined },
    reporters: createReporters({ events, audit: noAudit, log, clock }),
  };
  const namespaces = createNamespaces(settings);
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return {
    ...namespaces,
    config,
    context: { ...settings, exempt: namespaces.exempt },
    signal,
    advance(ms) {
      aheadMs += ms;
    },
    async claim(names) {
      const expiresMs = clock.nowMs() + LIFETIME_MS;
      await forEachConcurrently(names, CONCURRENCY, async (namespace) => {
        await namespaces.claim(
          { namespace, expiresMs, contact: null, claimedBy: 'bench', nonce: STORED_NONCE },
          signal,
        );
      });
    },
    async close() {
      await store.close();
    },
  };
}

/** These claims come from no request. */
const STORED_NONCE: ClaimNonce = {
  isWrittenWithRecord: true,
  remember: async () => await Promise.resolve(),
  writeWith: async (write) => await write(undefined),
};
