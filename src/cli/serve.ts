import { startAgent } from '../agent.ts';
import { loadConfig } from '../config.ts';
import { createLog } from '../log.ts';
import type { Command } from './command.ts';

/** Runs the agent until SIGTERM or SIGINT. */
export const serve: Command = {
  summary: 'run the agent',
  help: `Runs until SIGTERM or SIGINT, then finishes the requests it holds.
The settings come from config/default.yml, config/<NODE_ENV>.yml, the file named by PULSE_AGENT_CONFIG and the
environment. The least it needs:

  RABBITMQ_URL=amqp://agent:…@localhost:5672 \\
  TASKCLUSTER_ROOT_URL=https://tc.example.com \\
  PULSE_AGENT_SECRET="$(cat secret)" \\
  PULSE_AGENT_CLAIMANT_PASSWORD=… \\
  pulse-agent serve`,
  async run() {
    const config = loadConfig();
    const log = createLog(config);
    const starting = new AbortController();
    const stopped = new Promise<NodeJS.Signals>((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        process.once(signal, () => {
          starting.abort();
          resolve(signal);
        });
      }
    });
    const agent = await startAgent(config, { log, signal: starting.signal });
    log.info({ signal: await stopped }, 'stopping');
    await agent.stop();
    // Agenda's own timers would hold the process for seconds more. The log is written synchronously.
    process.exit(0);
  },
};
