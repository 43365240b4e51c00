import { randomBytes } from 'node:crypto';
import { guardByCluster } from '../broker/management/guarded-changes.ts';
import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import { systemClock, systemSleep } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { formatInstant } from '../contract/fields.ts';
import { createLog } from '../util/log.ts';
import { noAudit } from '../audit/audit.ts';
import { needsRecheck } from '../namespaces/revocation/decide-revocation.ts';
import { createRevokeDirectly, type RevokeDirectly } from '../namespaces/revocation/revoke-namespaces.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { createNamespaces } from '../namespaces/namespaces.ts';
import { createReporters } from '../reporters.ts';
import { makeOperatorRecord } from '../audit/operator-audit.ts';

/** Revokes at the store and the broker of an installation, without a request. */
export interface DirectRevoker extends RevokeDirectly {
  /** How many namespaces have credentials. */
  count(): Promise<number>;
  /** Does what is left of a revocation and is due; resolves with whether it is complete. */
  finish(namespace: string, signal: AbortSignal): Promise<boolean>;
  /** Records in the audit who revoked this namespace, and why. */
  record(namespace: string, untilMs: number | undefined): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens store and management API as an agent does; it needs no AMQP connection.
 *
 * @throws AgentError when the store or the management API cannot be used, or the broker belongs to another store
 */
export async function openDirectRevoker(config: Config, reason: string, signal: AbortSignal): Promise<DirectRevoker> {
  const { management, cluster } = guardByCluster(openManagement(config), { clock: systemClock, sleep: systemSleep });
  let store: Store | undefined;
  const close = async (): Promise<void> => {
    management.close();
    await store?.close();
  };
  try {
    const opened = (store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes }));
    await assertNotForeign(management, { ...config, storeId: opened.storeId }, { signal });
    const { revoker } = createNamespaces({
      config,
      // Without a request there is no signature to remember an outcome with.
      store: { ...ofStore(opened), nonces: { ...NO_NONCES } },
      management,
      cluster,
      clock: systemClock,
      sleep: systemSleep,
      randomBytes,
      random: Math.random,
      reporters: createReporters({
        events: { emit: () => undefined, emitAndWait: async () => undefined },
        // `record` records the revocation as a whole.
        audit: noAudit,
        log: createLog({ logLevel: 'silent', id: config.id }),
        clock: systemClock,
      }),
    });
    return {
      ...createRevokeDirectly({
        store: opened.namespaces,
        revoker,
        clock: systemClock,
        concurrency: config.managementConcurrency,
      }),
      async finish(namespace, until) {
        await revoker.finish(namespace, until);
        const record = await opened.namespaces.get(namespace);
        return record === undefined || !needsRecheck(record);
      },
      async count() {
        const { provisioning, active } = await opened.namespaces.countByState();
        return provisioning + active;
      },
      async record(namespace, untilMs) {
        const details = untilMs === undefined ? {} : { revokedUntil: formatInstant(untilMs) };
        await opened.audit.append([makeOperatorRecord({ action: 'revocation', namespace, reason, details })]);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function ofStore(store: Store): Pick<Store, 'storeId' | 'namespaces' | 'secretSightings' | 'queueExemptions'> {
  const { storeId, namespaces, secretSightings, queueExemptions } = store;
  return { storeId, namespaces, secretSightings, queueExemptions };
}

const NO_NONCES: Store['nonces'] = {
  areWrittenWithRecord: true,
  get: async () => await Promise.resolve(undefined),
  remember: async (entry) => await Promise.resolve(entry),
  recordOutcome: async () => await Promise.resolve(undefined),
  prune: async () => await Promise.resolve(0),
};
