import { readFileSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { ENVIRONMENT_VARIABLES, environmentValue, serviceLinks } from './environment.ts';

/** The settings of one file, or that of one variable. */
export interface SettingLayer {
  /** The path of the file, or the name of the variable. */
  readonly source: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * Reads the sources of the configuration, each of which overrides those before it: `config/default.yml`,
 * `config/<NODE_ENV>.yml` if there is one, the files named by `PULSE_AGENT_CONFIG`, the environment.
 *
 * @param faults gets one sentence for each source that cannot be read
 */
export function readSettingLayers(env: NodeJS.ProcessEnv, configFolder: string, faults: string[]): SettingLayer[] {
  const layers = [readFileLayer(resolve(configFolder, 'default.yml'), faults)];
  const nodeEnv = env['NODE_ENV'];
  if (nodeEnv !== undefined && /^[\w-]+$/.test(nodeEnv) && nodeEnv !== 'default') {
    layers.push(readFileLayer(resolve(configFolder, `${nodeEnv}.yml`), faults, { optional: true }));
  }
  for (const path of configFiles(env)) layers.push(readFileLayer(path, faults));
  const links = serviceLinks(env);
  for (const { name, setting } of ENVIRONMENT_VARIABLES) {
    const value = setting === undefined || links.includes(name) ? undefined : environmentValue(env, name, faults);
    if (setting === undefined || value === undefined) continue;
    const isNumber = setting === 'httpPort' && /^\d+$/.test(value);
    layers.push({ source: sourceOf(env, name), settings: { [setting]: isNumber ? Number(value) : value } });
  }
  return layers;
}

/** The settings of all layers; a later layer replaces a setting as a whole. */
export function mergeLayers(layers: readonly SettingLayer[]): Record<string, unknown> {
  return Object.assign({}, ...layers.map(({ settings }) => settings)) as Record<string, unknown>;
}

/** The variable that has the value: `name`, or `<name>_FILE`. */
export function sourceOf(env: NodeJS.ProcessEnv, name: string): string {
  return env[`${name}_FILE`] ? `${name}_FILE` : name;
}

/** The files that `PULSE_AGENT_CONFIG` names, in their order, with colons between them (on Windows semicolons). */
function configFiles(env: NodeJS.ProcessEnv): string[] {
  const paths = (env['PULSE_AGENT_CONFIG'] ?? '').split(delimiter);
  return paths.filter((path) => path !== '').map((path) => resolve(path));
}

function readFileLayer(path: string, faults: string[], options = { optional: false }): SettingLayer {
  return { source: path, settings: readSettings(path, faults, options) };
}

function readSettings(
  path: string,
  faults: string[],
  options: { readonly optional: boolean },
): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (options.optional && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    faults.push(`The configuration file ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
    return {};
  }
  try {
    // A warning would quote the file on standard error.
    const settings: unknown = parseYaml(text, { logLevel: 'error' }) ?? {};
    if (typeof settings === 'object' && !Array.isArray(settings)) return settings as Record<string, unknown>;
    faults.push(`The configuration file ${path} must have settings as "name: value" lines.`);
  } catch (error) {
    // Only the first line: the rest of a YAML error quotes the file, which may have a URL with a password.
    faults.push(`The configuration file ${path} is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  return {};
}
