import { randomBytes } from 'node:crypto';
import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import { systemClock, systemSleep } from '../util/clock.ts';
import type { Config } from '../config/config.ts';
import { formatInstant } from '../contract/fields.ts';
import { createLog } from '../util/log.ts';
import { noAudit } from '../audit/audit.ts';
import { createRevokeDirectly, type RevokeDirectly } from '../namespaces/revocation/revoke-directly.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { createNamespaces } from '../namespaces/namespaces.ts';
import { createReporters } from './reporters.ts';
import { operatorRecord } from '../audit/operator-records.ts';

/** The store and the broker of an installation, to revoke without a request. */
export interface DirectRevoker extends RevokeDirectly {
  /** How many namespaces have credentials. */
  count(): Promise<number>;
  /** Writes down who revoked this one, and why. */
  writeDown(namespace: string, untilMs: number | undefined): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens them as an agent does. No connection over AMQP is needed.
 *
 * @throws AgentError when the store or the management API cannot be used, or the broker is another store's.
 */
export async function openDirectRevoker(config: Config, reason: string, signal: AbortSignal): Promise<DirectRevoker> {
  const management = openManagement(config);
  let store: Store | undefined;
  const close = async (): Promise<void> => {
    management.close();
    await store?.close();
  };
  try {
    const opened = (store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes }));
    await assertNotForeign(management, { ...config, storeId: opened.storeId }, { signal });
    const { revoker } = createNamespaces(
      {
        config,
        // Nobody signed: there is no signature to remember an outcome with.
        store: { ...ofStore(opened), nonces: { ...NO_NONCES } },
        management,
        clock: systemClock,
        sleep: systemSleep,
        randomBytes,
        random: Math.random,
        reporters: createReporters({
          events: { emit: () => undefined, emitAndWait: async () => undefined },
          // The revocation as a whole is written down, by `writeDown`.
          audit: noAudit,
          log: createLog({ logLevel: 'silent', id: config.id }),
          clock: systemClock,
        }),
      },
      { remove: async () => await Promise.resolve(false) },
    );
    return {
      ...createRevokeDirectly({
        store: opened.namespaces,
        revoker,
        clock: systemClock,
        width: config.managementConcurrency,
      }),
      async count() {
        const { provisioning, active } = await opened.namespaces.countByState();
        return provisioning + active;
      },
      async writeDown(namespace, untilMs) {
        const details = untilMs === undefined ? {} : { revokedUntil: formatInstant(untilMs) };
        await opened.audit.append([operatorRecord({ action: 'revocation', namespace, reason, details })]);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function ofStore({ storeId, namespaces }: Store): Pick<Store, 'storeId' | 'namespaces'> {
  return { storeId, namespaces };
}

const NO_NONCES: Store['nonces'] = {
  remember: async (entry) => await Promise.resolve(entry),
  recordOutcome: async () => await Promise.resolve(undefined),
  prune: async () => await Promise.resolve(0),
};
