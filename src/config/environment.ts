import { readFileSync } from 'node:fs';
import { OPERATOR_TOKEN_MIN_LENGTH } from './operator-access.ts';
import { SETTING_MEANINGS, type SettingName } from './settings.ts';

/** An environment variable that an agent reads. */
export interface EnvironmentVariable {
  readonly name: string;
  /** In Markdown, without a full stop at the end. */
  readonly description: string;
  /** Whether `<name>_FILE` may name a file with the value instead. */
  readonly file: boolean;
  readonly required: boolean;
  /** The setting that it overrides. */
  readonly setting?: SettingName;
}

/** The shortest agent secret, in characters: every password is derived from it. */
export const SECRET_MIN_LENGTH = 32;

const OF_SETTINGS = [...SETTING_MEANINGS].flatMap(([setting, { variable, required = false }]): EnvironmentVariable[] =>
  variable === undefined ? [] : [{ name: variable, description: `Sets \`${setting}\``, file: true, required, setting }],
);

const SECRETS: readonly EnvironmentVariable[] = [
  {
    name: 'TASKCLUSTER_ACCESS_TOKEN',
    description: 'The access token of `taskclusterClientId`',
    file: true,
    required: false,
  },
  {
    name: 'PULSE_AGENT_SECRET',
    description: `The agent secret, which every password is derived from; at least ${SECRET_MIN_LENGTH} characters`,
    file: true,
    required: true,
  },
  {
    name: 'PULSE_AGENT_PREVIOUS_SECRETS',
    description:
      'Earlier agent secrets, with commas between them or as a JSON array. New passwords are not derived from them',
    file: true,
    required: false,
  },
  {
    name: 'PULSE_AGENT_CLAIMANT_PASSWORD',
    description: 'The password of the claimant; without it the agent creates no claimant',
    file: true,
    required: false,
  },
  {
    name: 'PULSE_AGENT_OPERATOR_TOKEN',
    description: `Switches [the page for operators](page.md) on, at \`HTTP_PORT\`, and opens it; at least ${OPERATOR_TOKEN_MIN_LENGTH} characters`,
    file: true,
    required: false,
  },
];

const FILES: readonly EnvironmentVariable[] = [
  {
    name: 'PULSE_AGENT_CONFIG',
    description:
      'The path of a YAML file with settings, or several with colons between them; later files override earlier ones',
    file: false,
    required: false,
  },
  {
    name: 'NODE_ENV',
    description: '`config/<NODE_ENV>.yml` overrides `config/default.yml`',
    file: false,
    required: false,
  },
];

/** Every variable that an agent reads. `docs/configuration.md` is generated from it. */
export const ENVIRONMENT_VARIABLES: readonly EnvironmentVariable[] = [...FILES, ...OF_SETTINGS, ...SECRETS];

/** Variables that only the commands of a client read. */
const CLIENT_VARIABLES = ['PULSE_AGENT_URL', 'PULSE_AGENT_ID', 'PULSE_AGENT_AUDIENCE'];

const OWN_PREFIX = 'PULSE_AGENT_';

const KNOWN_VARIABLES = [
  ...ENVIRONMENT_VARIABLES.flatMap(({ name, file }) => (file ? [name, `${name}_FILE`] : [name])),
  ...CLIENT_VARIABLES,
].filter((name) => name.startsWith(OWN_PREFIX));

/** The forms of the variables that Kubernetes sets for a Service, such as `…_PORT=tcp://10.0.0.7:8080`. */
const SERVICE_LINKS: readonly (readonly [name: RegExp, value: RegExp])[] = [
  [/_SERVICE_HOST$/, /^[\da-f.:]+$|^None$/i],
  [/_SERVICE_PORT(_[A-Z\d_]+)?$/, /^\d{1,5}$/],
  [/_PORT(_\d{1,5}_(TCP|UDP|SCTP))?$/, /^(tcp|udp|sctp):\/\/\S+$/],
  [/_PORT_\d{1,5}_(TCP|UDP|SCTP)_PROTO$/, /^(tcp|udp|sctp)$/],
  [/_PORT_\d{1,5}_(TCP|UDP|SCTP)_PORT$/, /^\d{1,5}$/],
  [/_PORT_\d{1,5}_(TCP|UDP|SCTP)_ADDR$/, /^[\da-f.:]+$/i],
];

/**
 * The variables that Kubernetes sets for a Service named `pulse-agent` or `pulse-agent-…`, and `HTTP_PORT` of one named
 * `http`. They configure nothing.
 */
export function serviceLinks(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env)
    .filter((name) => name === 'HTTP_PORT' || (name.startsWith(OWN_PREFIX) && !KNOWN_VARIABLES.includes(name)))
    .filter((name) => SERVICE_LINKS.some(([form, value]) => form.test(name) && value.test(env[name] ?? '')))
    .toSorted();
}

/** A sentence for each variable with this project's prefix that has no meaning: a misspelling would have no effect. */
export function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const links = serviceLinks(env);
  return Object.keys(env)
    .filter((name) => name.startsWith(OWN_PREFIX) && !KNOWN_VARIABLES.includes(name) && !links.includes(name))
    .map((name) => `The variable ${name} is unknown: known are ${KNOWN_VARIABLES.join(', ')}.`);
}

/**
 * The value of a variable, or the content of the file that `<variable>_FILE` names, without one newline at its end. Empty
 * counts as absent.
 *
 * @param faults gets a sentence when both are set or the file cannot be read
 */
export function environmentValue(env: NodeJS.ProcessEnv, variable: string, faults: string[]): string | undefined {
  const path = env[`${variable}_FILE`];
  if (path && env[variable]) faults.push(`Set either ${variable} or ${variable}_FILE, not both.`);
  if (!path) return env[variable] || undefined;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '') || undefined;
  } catch (error) {
    faults.push(`The file named by ${variable}_FILE cannot be read (${(error as NodeJS.ErrnoException).code}).`);
    return undefined;
  }
}
