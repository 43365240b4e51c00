import type { Config } from '../config/config.ts';
import type { Audit } from './audit.ts';
import { VERSION } from '../version.ts';

/** Texts that are no secret and hold none; of all others, those to come included, nothing is told. */
const TOLD_TEXTS: ReadonlySet<string> = new Set([
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

/** Writes down with which configuration an agent started. */
export function auditConfiguration(audit: Pick<Audit, 'record'>, config: Config): void {
  audit.record({ action: 'configuration', reason: 'an agent started', details: auditableSettings(config) });
}

/** The settings that may be told to whoever may read the audit: numbers, switches, names, limits and patterns. */
export function auditableSettings(config: Config): Record<string, string | number | boolean | null> {
  const told: Record<string, string | number | boolean | null> = { version: VERSION };
  for (const [name, value] of Object.entries(config) as [string, unknown][]) {
    if (typeof value === 'number' || typeof value === 'boolean') told[name] = value;
    if (typeof value === 'string' && TOLD_TEXTS.has(name)) told[name] = value;
  }
  told['broker'] = new URL(config.rabbitmqUrl.reveal()).host;
  // No URL to `URL`: a replica set has several hosts with ports.
  told['store'] = config.storeUrl.reveal().split(':', 1)[0] ?? '';
  told['accountLimits'] = JSON.stringify(config.accountLimits);
  told['claimantLimits'] = JSON.stringify(config.claimantLimits);
  told['exemptQueues'] = JSON.stringify(config.exemptQueues.map(({ source }) => source));
  told['claimant'] = config.claimantPassword !== undefined;
  told['mail'] = config.taskclusterClientId !== null && config.taskclusterAccessToken !== undefined;
  return told;
}
