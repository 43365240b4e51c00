import { randomBytes } from 'node:crypto';
import { guardByCluster } from '../../broker/management/guarded-changes.ts';
import { openManagement } from '../../broker/management/open-management.ts';
import { assertNotForeign, claimBroker } from '../../broker/marker.ts';
import { systemClock, systemSleep } from '../../util/clock.ts';
import { loadConfig } from '../../config/config.ts';
import { makeOperatorRecord } from '../../audit/operator-audit.ts';
import { createNamespaceAdoption } from '../../namespaces/claim/adopt-namespace.ts';
import { openStore } from '../../store/open-store.ts';
import { type DefineCommand, examples } from '../define-command.ts';

const BROKER_TEXTS = {
  ours: 'The broker already belongs to this store; nothing was changed.',
  marked: 'The broker was not marked; it now belongs to this store.',
  adopted: 'The broker now belongs to this store. Agents of the previous store will refuse to start.',
} as const;

const NAMESPACE_TEXTS = {
  ours: 'it already belongs to this store; nothing was changed.',
  adopted: 'its next claim takes over its queues and exchanges.',
} as const;

/** Marks the broker for the configured store, although it is marked for another; or a namespace, although it exists. */
export const adoptCommand: DefineCommand = (command, { env, output, signal }) => {
  command
    .argument('[namespaces...]', 'adopt the queues and exchanges of these names, instead of the broker')
    .description(
      `Takes over a broker that is marked for another store, or a name under which queues and exchanges exist.

An agent refuses to start with a broker of another store: the store may be empty by mistake, or another installation may use the same id, requestVhost or prefixes. If neither is the case, run this command with the configuration of the agent, while no agent runs.

With namespaces: the first claim of a name is refused while queues or exchanges of it exist, because the deletion of the namespace would delete them. After this command it is claimed with them. If the store is LMDB, stop the agent first.`,
    )
    .addHelpText(
      'after',
      examples([
        ['after restoring or replacing the store', 'pulse-agent adopt'],
        ['queues of taskcluster-builds exist, and its owner wants to claim it', 'pulse-agent adopt taskcluster-builds'],
      ]),
    )
    .action(async (namespaces) => {
      const config = loadConfig(env);
      const { management } = guardByCluster(openManagement(config), { clock: systemClock, sleep: systemSleep });
      const store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes });
      const { storeId } = store;
      const record = async (outcome: string, about: { readonly namespace?: string } = {}): Promise<void> => {
        if (outcome === 'ours') return;
        const reason = 'pulse-agent adopt';
        await store.audit.append([makeOperatorRecord({ action: 'adoption', ...about, reason, details: { outcome } })]);
      };
      try {
        if (namespaces.length === 0) {
          const outcome = await claimBroker(management, { ...config, storeId, adopt: true }, systemClock, { signal });
          await record(outcome);
          output.print({ outcome, storeId }, () => BROKER_TEXTS[outcome]);
          return;
        }
        await assertNotForeign(management, { ...config, storeId }, { signal });
        const context = { config, management, store: store.namespaces, storeId, clock: systemClock, randomBytes };
        const adopt = createNamespaceAdoption(context);
        for (const namespace of namespaces) {
          const outcome = await adopt(namespace, signal);
          await record(outcome, { namespace });
          output.print({ outcome, namespace, storeId }, () => `${namespace}: ${NAMESPACE_TEXTS[outcome]}`);
        }
      } finally {
        management.close();
        await store.close();
      }
    });
};
