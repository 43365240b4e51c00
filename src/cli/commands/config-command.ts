import { shownClaimantUrl } from '../../config/claimant-url.ts';
import type { Config } from '../../config/config.ts';
import { loadConfig } from '../../config/config.ts';
import { showConfiguration, type ShownSetting } from '../../config/shown-settings.ts';
import { riskyChoices } from '../../observe/risky-choices.ts';
import { type CommandContext, type DefineCommand, examples } from '../define-command.ts';
import { table } from '../table.ts';

/** Checks and shows the configuration of an agent. */
export const configCommand: DefineCommand = (command, context) => {
  command
    .description(
      'Checks or shows the configuration that an agent with this environment would start with. Nothing is connected to.',
    )
    .addHelpText(
      'after',
      examples([
        ['what is wrong or risky', 'pulse-agent config check'],
        ['what differs from the defaults', 'pulse-agent config show --changed'],
      ]),
    );
  command
    .command('check')
    .summary('say what is wrong, or that nothing is')
    .description(
      'Checks all settings and secrets as the start of an agent does, and prints one sentence for each fault (exit code 2), or the risky choices of a valid configuration.',
    )
    .addHelpText(
      'after',
      examples([
        ['before a restart', 'pulse-agent config check'],
        ['with another file', 'PULSE_AGENT_CONFIG=agent.yml:dry-run.yml pulse-agent config check'],
      ]),
    )
    .action(() => check(context));
  command
    .command('show')
    .summary('show each setting, its value, and where it came from')
    .description(
      'Prints each setting with its value and the file or variable that it came from, then which secrets are set. It shows no password: of a URL only scheme, host, port and path.',
    )
    .option('--changed', 'only what does not come from config/default.yml')
    .addHelpText(
      'after',
      examples([
        ['what differs from the defaults', 'pulse-agent config show --changed'],
        ['one setting, for a script', "pulse-agent config show --json | jq '.settings.logLevel.value'"],
      ]),
    )
    .action(({ changed }) => show(context, changed === true));
};

function check({ env, output }: CommandContext): void {
  const config = loadConfig(env);
  const { sources } = showConfiguration(env, config);
  // Whether broker events are consumed is known to a running agent only.
  const risks = riskyChoices(config, { nodeEnv: env['NODE_ENV'], brokerEvents: true });
  const claimant = config.claimantPassword === undefined ? undefined : shownClaimantUrl(config);
  output.print({ valid: true, sources, claimantUrl: claimant ?? null, risks }, (style) =>
    [
      style.good('The configuration is valid.'),
      `Read from ${sources.join(', ')}.`,
      claimant === undefined
        ? 'There is no claimant for first claims: PULSE_AGENT_CLAIMANT_PASSWORD is not set.'
        : `Clients claim first with ${claimant}, and PULSE_AGENT_CLAIMANT_PASSWORD in place of the dots.`,
      ...risks.map(({ choice, sentence }) => `${style.doubtful(choice)}: ${sentence}`),
    ].join('\n'),
  );
}

/** Also of a configuration with faults, which it reports afterwards. */
function show({ env, output }: CommandContext, changedOnly: boolean): void {
  let config: Config | undefined;
  let fault: unknown;
  try {
    config = loadConfig(env);
  } catch (error) {
    fault = error;
  }
  const { sources, settings } = showConfiguration(env, config);
  const wanted = changedOnly ? settings.filter((setting) => !isDefault(setting, sources[0])) : settings;
  output.print({ sources, settings: Object.fromEntries(wanted.map(({ name, ...rest }) => [name, rest])) }, (style) =>
    wanted.length === 0
      ? 'Everything comes from config/default.yml.'
      : table(
          wanted,
          [
            { title: 'SETTING', text: ({ name }) => name },
            { title: 'FROM', text: ({ from }) => from },
            // Last, because lists are long.
            { title: 'VALUE', text: ({ value }) => (typeof value === 'string' ? value : JSON.stringify(value)) },
          ],
          style,
        ),
  );
  if (fault !== undefined) throw fault;
}

function isDefault({ from }: ShownSetting, defaultFile: string | undefined): boolean {
  return from === '' || from === defaultFile || from.endsWith(`in ${defaultFile})`);
}
