import { randomBytes } from 'node:crypto';
import { openManagement } from '../../broker/management/open-management.ts';
import { claimBroker } from '../../broker/marker.ts';
import { systemClock } from '../../util/clock.ts';
import { loadConfig } from '../../config/config.ts';
import { operatorRecord } from '../../audit/operator-records.ts';
import { openStore } from '../../store/open-store.ts';
import { type DefineCommand, examples } from '../command.ts';

const SAID = {
  ours: 'The broker is marked as belonging to this store already; nothing was changed.',
  marked: 'The broker was not marked; it is now marked as belonging to this store.',
  adopted: 'The broker now belongs to this store. Agents of the store that had it before will refuse to start.',
} as const;

/** Lets the configured store take over a broker that another store has marked. */
export const adoptCommand: DefineCommand = (command, { env, output }) => {
  command
    .description(
      `Takes over a broker that another store has marked.

An agent refuses to start against such a broker: the store may be empty by mistake, or a second installation may use the same prefixes. When neither is so, confirm with this command, with the same configuration as the agent and while no agent runs.`,
    )
    .addHelpText('after', examples([['after restoring or replacing the store', 'pulse-agent adopt']]))
    .action(async () => {
      const config = loadConfig(env);
      const management = openManagement(config);
      const store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes });
      try {
        const settings = { ...config, storeId: store.storeId, adopt: true };
        const outcome = await claimBroker(management, settings, systemClock);
        if (outcome !== 'ours') {
          const reason = 'the broker is to belong to this store';
          await store.audit.append([operatorRecord({ action: 'adoption', reason, details: { outcome } })]);
        }
        output.print({ outcome, storeId: store.storeId }, () => SAID[outcome]);
      } finally {
        management.close();
        await store.close();
      }
    });
};
