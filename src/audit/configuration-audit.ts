import type { Config } from '../config/config.ts';
import { parseStoreUrl } from '../config/store-url.ts';
import { formatAmqpHosts, parseAmqpUrls } from '../contract/url.ts';
import { VERSION } from '../version.ts';
import type { Audit } from './audit.ts';

/** Allow-list of string settings that are safe to audit; new settings are excluded by default. */
const SAFE_STRINGS: ReadonlySet<string> = new Set([
  'id',
  'audience',
  'namespacePrefix',
  'usernamePrefix',
  'vhost',
  'eventVhost',
  'httpHost',
  'logLevel',
  'taskclusterClientId',
]);

/** Records the configuration with which an agent started. */
export function auditConfiguration(audit: Pick<Audit, 'record'>, config: Config): void {
  audit.record({ action: 'configuration', reason: 'agent started', details: auditableSettings(config) });
}

/** The settings without secrets: numbers, switches, names, limits and patterns. */
export function auditableSettings(config: Config): Record<string, string | number | boolean | null> {
  const plain = Object.entries(config as object).filter(
    (entry): entry is [string, string | number | boolean] =>
      typeof entry[1] === 'number' ||
      typeof entry[1] === 'boolean' ||
      (typeof entry[1] === 'string' && SAFE_STRINGS.has(entry[0])),
  );
  return {
    version: VERSION,
    ...Object.fromEntries(plain),
    broker: formatAmqpHosts(parseAmqpUrls(config.rabbitmqUrl.reveal())),
    store: parseStoreUrl(config.storeUrl.reveal()).kind,
    accountLimits: JSON.stringify(config.accountLimits),
    claimantLimits: JSON.stringify(config.claimantLimits),
    queues: JSON.stringify(config.queues.map((rule) => ({ ...rule, match: rule.match.source }))),
    exemptQueues: JSON.stringify(config.exemptQueues.map(({ source }) => source)),
    reservedNamespaces: JSON.stringify(config.reservedNamespaces.map(({ source }) => source)),
    claimant: config.claimantPassword !== undefined,
    mail: config.taskclusterClientId !== null && config.taskclusterAccessToken !== undefined,
  };
}
