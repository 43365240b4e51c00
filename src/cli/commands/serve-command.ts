import { type Agent, startAgent } from '../../agent/agent.ts';
import { loadConfig } from '../../config/config.ts';
import { showConfiguration } from '../../config/shown-settings.ts';
import { serviceLinks } from '../../config/environment.ts';
import { type DryRun, startDryRun } from '../../agent/dry-run.ts';
import { createLog } from '../../util/log.ts';
import { openLogOutput } from '../../util/log-output.ts';
import { formatReport } from '../../observe/start-summary.ts';
import { type DefineCommand, examples, Interrupted } from '../define-command.ts';

/** Runs an agent until SIGTERM or SIGINT. */
export const serveCommand: DefineCommand = (command, { env, signal }) => {
  command
    .description(
      `Runs an agent until SIGTERM or SIGINT, then finishes the requests it holds. The log is JSON, one object a line.

The settings come from config/default.yml, config/<NODE_ENV>.yml, the files named by PULSE_AGENT_CONFIG (with colons between them) and the environment; later ones override earlier ones.`,
    )
    .addHelpText(
      'after',
      examples([
        [
          'with the settings that have no default',
          `RABBITMQ_URL=amqp://agent:…@localhost:5672 \\
  TASKCLUSTER_ROOT_URL=https://tc.example.com \\
  PULSE_AGENT_SECRET_FILE=/run/secrets/agent-secret \\
  PULSE_AGENT_CLAIMANT_PASSWORD_FILE=/run/secrets/claimant \\
  pulse-agent serve`,
        ],
      ]),
    )
    .action(async () => {
      const config = loadConfig(env);
      const output = openLogOutput();
      const log = createLog(config.dryRun ? { ...config, id: `${config.id}-dry-run` } : config, output);
      const variables = serviceLinks(env);
      if (variables.length > 0)
        log.info({ code: 'service_links_ignored', variables }, 'ignored service links of Kubernetes');
      const parts = { log, signal };
      const starting: Promise<Agent | DryRun> = config.dryRun
        ? startDryRun(config, parts)
        : startAgent(config, {
            ...parts,
            ...(config.operatorToken === undefined ? {} : { shown: showConfiguration(env, config) }),
          });
      const agent = await starting.catch((error: unknown) => {
        if (!signal.aborted) throw error;
        log.info({ code: 'agent_not_started' }, 'stopped before the agent started');
      });
      // On a terminal only: elsewhere a program reads one log line at a time.
      if (agent !== undefined && 'report' in agent && process.stdout.isTTY) {
        output.flush();
        process.stdout.write(`${formatReport(agent.report)}\n`);
      }
      const mustStop = agent !== undefined && 'mustStop' in agent ? agent.mustStop : undefined;
      await aborted(mustStop === undefined ? signal : AbortSignal.any([signal, mustStop]));
      if (mustStop?.aborted)
        log.fatal({ code: 'agent_must_stop', err: mustStop.reason as unknown }, 'the agent must stop');
      log.info(
        { code: 'agent_stopping', signal: signal.reason instanceof Interrupted ? signal.reason.signal : undefined },
        'stopping',
      );
      await agent?.stop();
      mustStop?.throwIfAborted();
      // Agenda's timers would keep the process alive for seconds. The rest of the log is written at the exit.
      process.exit(0);
    });
};

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
