import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { forEachConcurrently } from '../src/util/concurrency.ts';
import { createBindingRemover } from '../src/broker/foreign-bindings.ts';
import { systemClock, systemSleep } from '../src/util/clock.ts';
import { createReporters } from '../src/agent/reporters.ts';
import { createNamespaces, type Namespaces, type NamespacesParts } from '../src/namespaces/namespaces.ts';
import { type Config, loadConfig } from '../src/config/config.ts';
import { createLog } from '../src/util/log.ts';
import { noAudit } from '../src/audit/audit.ts';
import type { QueuesContext } from '../src/queues/queues.ts';
import { openStore } from '../src/store/open-store.ts';
import type { Site } from './site.ts';

/** The parts of an agent that do work for namespaces, in this process, on an LMDB store of their own. */
export interface BenchInstallation extends Omit<Namespaces, 'claim'> {
  readonly config: Config;
  /** What its parts are made of, for whoever makes more of them. */
  readonly settings: PartSettings;
  readonly signal: AbortSignal;
  /** Lets this much time pass for the agent, at once. */
  advance(ms: number): void;
  /** Claims namespaces for thirty days. */
  claim(names: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

type PartSettings = QueuesContext & NamespacesParts;

const LIFETIME_MS = 30 * 24 * 3_600_000;

/** As many as an agent makes calls at once. */
export const WIDTH = 32;

/**
 * Opens an installation on the site's broker.
 *
 * @param storeName its LMDB store, in the folder of the site
 */
export async function openInstallation(
  site: Site,
  storeName: string,
  say: (line: string) => void,
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
  const log = createLog(config, { write: say });
  const events = { emit: () => undefined, emitAndWait: async () => undefined };
  const settings: PartSettings = {
    config,
    store,
    management,
    clock,
    randomBytes,
    sleep: systemSleep,
    random: Math.random,
    log,
    jobs: { trigger: () => undefined },
    reporters: createReporters({ events, audit: noAudit, log, clock }),
  };
  const remover = createBindingRemover({ amqpUrl: config.rabbitmqUrl, id: config.id, vhost: config.vhost, management });
  const namespaces = createNamespaces(settings, remover);
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return {
    ...namespaces,
    config,
    settings,
    signal,
    advance(ms) {
      aheadMs += ms;
    },
    async claim(names) {
      const expiresMs = clock.nowMs() + LIFETIME_MS;
      await forEachConcurrently(names, WIDTH, async (namespace) => {
        await namespaces.claim({ namespace, expiresMs, contact: null, claimedBy: 'bench' }, signal);
      });
    },
    async close() {
      await remover.close();
      await store.close();
    },
  };
}
