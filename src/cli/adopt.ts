import { randomBytes } from 'node:crypto';
import { openManagement } from '../agent.ts';
import { claimBroker } from '../broker/marker.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config.ts';
import { openStore } from '../store/open.ts';
import type { Command } from './command.ts';

const SAID = {
  ours: 'The broker is marked as belonging to this store already; nothing was changed.',
  marked: 'The broker was not marked; it is now marked as belonging to this store.',
  adopted: 'The broker now belongs to this store. Agents of the store that had it before will refuse to start.',
} as const;

/** Lets the configured store take over a broker that another store has marked. */
export const adopt: Command = {
  summary: 'take over a broker that another store has marked',
  help: `An agent refuses to start against a broker that another store has marked: the store may be empty by mistake, or a
second installation may use the same prefixes. When neither is so, confirm with this command, with the same
configuration as the agent and while no agent runs:

  pulse-agent adopt`,
  async run() {
    const config = loadConfig();
    const management = openManagement(config);
    const store = await openStore(config.storeUrl.reveal(), { clock: systemClock, randomBytes });
    try {
      const settings = { ...config, storeId: store.storeId, adopt: true };
      console.log(SAID[await claimBroker(management, settings, systemClock)]);
      return 0;
    } finally {
      management.close();
      await store.close();
    }
  },
};
