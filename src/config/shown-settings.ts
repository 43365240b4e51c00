import { changeAmqpUrls, formatHttpUrls, parseHttpUrls } from '../contract/url.ts';
import { type Config, CONFIG_FOLDER } from './config.ts';
import { ENVIRONMENT_VARIABLES, environmentValue } from './environment.ts';
import { parseMongoUrl } from './mongodb-url.ts';
import { mergeLayers, readSettingLayers, type SettingLayer, sourceOf } from './setting-layers.ts';
import { SETTING_MEANINGS, type SettingName } from './settings.ts';

/** A setting, or a secret of the environment, as an operator may see it. */
export interface ShownSetting {
  readonly name: string;
  /** `set` and `not set` for a secret; a URL has no user, no password and no parameters. */
  readonly value: unknown;
  /** The path of a file, the name of a variable, or `derived` from other settings. */
  readonly from: string;
}

/** Where the settings come from. */
export interface ShownConfiguration {
  /** The files and variables, the last of which wins. */
  readonly sources: readonly string[];
  readonly settings: readonly ShownSetting[];
}

const SECRET = { set: 'set', notSet: 'not set', malformed: 'set, and malformed' } as const;

/** Settings whose values, if they are null or `auto`, follow from others. */
const DERIVED: Partial<Record<SettingName, (config: Config) => unknown>> = {
  rabbitmqManagementUrl: ({ rabbitmqManagementUrl }) => withoutLogin('http', rabbitmqManagementUrl.reveal()),
  publicAmqpUrl: ({ publicAmqpUrl }) => publicAmqpUrl,
  requestVhost: ({ requestVhost }) => requestVhost,
  queueBackstopMessages: ({ queueBackstopMessages }) => queueBackstopMessages,
  queueBackstopBytes: ({ queueBackstopBytes }) => queueBackstopBytes,
};

/** How a value that may hold a password is shown. */
const SHOWN: Partial<Record<SettingName, (value: string) => string>> = {
  rabbitmqUrl: (url) => withoutLogin('amqp', url),
  rabbitmqManagementUrl: (url) => withoutLogin('http', url),
  publicAmqpUrl: (url) => withoutLogin('amqp', url),
  taskclusterRootUrl: (url) => withoutLogin('http', url),
  storeUrl: storeWithoutLogin,
  rabbitmqCa: () => SECRET.set,
};

/**
 * Each setting with its value, and where it came from; then the secrets of the environment.
 *
 * @param config the loaded configuration; undefined if it has faults, and then no value is derived
 */
export function showConfiguration(
  env: NodeJS.ProcessEnv,
  config: Config | undefined,
  configFolder: string = CONFIG_FOLDER,
): ShownConfiguration {
  const layers = readSettingLayers(env, configFolder, []);
  const values = mergeLayers(layers);
  // A name that is no setting is a fault, which is reported elsewhere.
  const settings = [...SETTING_MEANINGS.keys()].map((name) => shownSetting(name, values[name], layers, config));
  const used = layers.filter((layer) => Object.keys(layer.settings).length > 0);
  return { sources: used.map(({ source }) => source), settings: [...settings, ...shownSecrets(env)] };
}

function shownSetting(
  name: SettingName,
  value: unknown,
  layers: readonly SettingLayer[],
  config: Config | undefined,
): ShownSetting {
  const source = layers.findLast(({ settings }) => Object.hasOwn(settings, name))?.source ?? 'nowhere';
  const derive = DERIVED[name];
  if (derive !== undefined && config !== undefined && (value === null || value === 'auto')) {
    const derived = derive(config);
    if (derived !== value) return { name, value: derived, from: `derived (${String(value)} in ${source})` };
  }
  return { name, value: typeof value === 'string' ? shown(name, value) : value, from: source };
}

function shown(name: SettingName, value: string): string {
  try {
    return SHOWN[name]?.(value) ?? value;
  } catch {
    return SECRET.malformed;
  }
}

function shownSecrets(env: NodeJS.ProcessEnv): ShownSetting[] {
  return ENVIRONMENT_VARIABLES.filter(({ setting, file }) => setting === undefined && file).map(({ name }) => {
    const isSet = environmentValue(env, name, []) !== undefined;
    return { name, value: isSet ? SECRET.set : SECRET.notSet, from: isSet ? sourceOf(env, name) : '' };
  });
}

function withoutLogin(kind: 'amqp' | 'http', urls: string): string {
  return kind === 'amqp'
    ? changeAmqpUrls(urls, { login: undefined, search: '' })
    : formatHttpUrls(parseHttpUrls(urls).map(({ url }) => ({ url, login: undefined })));
}

/** The URL of a store without credentials and parameters. */
export function storeWithoutLogin(url: string): string {
  if (!/^mongodb/i.test(url)) return url;
  const { servers, database } = parseMongoUrl(url);
  return `${url.slice(0, url.indexOf('://'))}://${servers.join(',')}/${database}`;
}
