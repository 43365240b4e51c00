import { randomBytes } from 'node:crypto';
import { openManagement } from '../../broker/management/open-management.ts';
import { claimBroker } from '../../broker/marker.ts';
import { systemClock } from '../../util/clock.ts';
import { loadConfig } from '../../config/config.ts';
import { makeOperatorRecord } from '../../audit/operator-audit.ts';
import { openStore } from '../../store/open-store.ts';
import { type DefineCommand, examples } from '../define-command.ts';

const OUTCOME_TEXTS = {
  ours: 'The broker already belongs to this store; nothing was changed.',
  marked: 'The broker was not marked; it now belongs to this store.',
  adopted: 'The broker now belongs to this store. Agents of the previous store will refuse to start.',
} as const;

/** Replaces the marker of another store on the broker with that of the configured store. */
export const adoptCommand: DefineCommand = (command, { env, output }) => {
  command
    .description(
      `Takes over a broker that is marked for another store.

An agent refuses to start with such a broker: the store may be empty by mistake, or another installation may use the same prefixes. If neither is the case, run this command with the configuration of the agent, while no agent runs.`,
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
          const reason = 'pulse-agent adopt';
          await store.audit.append([makeOperatorRecord({ action: 'adoption', reason, details: { outcome } })]);
        }
        output.print({ outcome, storeId: store.storeId }, () => OUTCOME_TEXTS[outcome]);
      } finally {
        management.close();
        await store.close();
      }
    });
};
