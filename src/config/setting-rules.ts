import { namespaceOfAccount } from '../contract/names.ts';
import { parseAmqpUrls, parseHttpUrls } from '../contract/url.ts';
import { queueRuleFaults } from './queue-rules.ts';
import { type FileSettings, SETTING_MEANINGS } from './settings.ts';

/**
 * The rules that tie settings to each other and to NODE_ENV.
 *
 * @param settings those with a valid form; a malformed one has been reported already
 * @returns one sentence for each broken rule
 */
export function settingRules(settings: Partial<FileSettings>, nodeEnv: string | undefined): string[] {
  const faults: string[] = [];
  for (const [setting, { required, variable }] of SETTING_MEANINGS) {
    if (required && settings[setting] === null) faults.push(`Set ${variable} (or ${setting} in a file).`);
  }
  const { id, namespacePrefix, warnAtMessages, deleteAtMessages, defaultLifetimeSeconds, maxLifetimeSeconds } =
    settings;
  if (id !== undefined && namespacePrefix !== undefined && id.startsWith(namespacePrefix)) {
    faults.push(
      `The setting id (${id}) must not begin with the namespacePrefix (${namespacePrefix}): a client could claim the agent's own queues.`,
    );
  }
  const broker = typeof settings.rabbitmqUrl === 'string' ? parseAmqpUrls(settings.rabbitmqUrl)[0] : undefined;
  const management =
    typeof settings.rabbitmqManagementUrl === 'string' ? parseHttpUrls(settings.rabbitmqManagementUrl)[0] : undefined;
  for (const [variable, user] of [
    ['RABBITMQ_URL', broker?.login?.username],
    ['RABBITMQ_MANAGEMENT_URL', management?.login?.username],
  ] as const) {
    if (user === undefined || !isAccountLike(settings, user)) continue;
    faults.push(
      `The user of ${variable} (${user}) must not be named like an account of a namespace: a claim would change its password.`,
    );
  }
  const requestVhost = settings.requestVhost ?? id;
  const vhost = broker === undefined ? undefined : (broker.vhost ?? '/');
  const publicVhost =
    typeof settings.publicAmqpUrl === 'string' ? parseAmqpUrls(settings.publicAmqpUrl)[0].vhost : undefined;
  if (vhost !== undefined && publicVhost !== undefined && publicVhost !== vhost) {
    faults.push(
      `PUBLIC_AMQP_URL must name the vhost of RABBITMQ_URL (${vhost}), or none: accounts have no permissions in the vhost ${publicVhost}.`,
    );
  }
  if (broker?.login?.username.includes(':') && management?.login === undefined) {
    faults.push(
      'RABBITMQ_URL must name a user without a colon, or RABBITMQ_MANAGEMENT_URL another user: HTTP ends the name at the first colon.',
    );
  }
  for (const [setting, other] of [
    ['the vhost of rabbitmqUrl', vhost],
    ['the setting eventVhost', settings.eventVhost],
  ] as const) {
    if (requestVhost === undefined || other !== requestVhost) continue;
    faults.push(
      `The setting requestVhost (${requestVhost}) must differ from ${setting}: where tenants have queues or exchanges, they could bring messages into the requests.`,
    );
  }
  if (warnAtMessages !== undefined && deleteAtMessages !== undefined && warnAtMessages >= deleteAtMessages) {
    faults.push('The setting warnAtMessages must be less than deleteAtMessages: owners are warned first.');
  }
  const { warnAtBytes, deleteAtBytes, queueBackstopMessages, queueBackstopBytes } = settings;
  if (warnAtBytes !== undefined && deleteAtBytes !== undefined) {
    if ((warnAtBytes === null) !== (deleteAtBytes === null)) {
      faults.push('The settings warnAtBytes and deleteAtBytes must both be numbers, or both null.');
    } else if (warnAtBytes !== null && deleteAtBytes !== null && warnAtBytes >= deleteAtBytes) {
      faults.push('The setting warnAtBytes must be less than deleteAtBytes: owners are warned first.');
    }
  }
  if (
    typeof queueBackstopMessages === 'number' &&
    deleteAtMessages !== undefined &&
    queueBackstopMessages < 2 * deleteAtMessages
  ) {
    faults.push(
      'The setting queueBackstopMessages must be at least twice deleteAtMessages: it drops messages without notice, and is meant for times without an agent.',
    );
  }
  if (
    typeof queueBackstopBytes === 'number' &&
    typeof deleteAtBytes === 'number' &&
    queueBackstopBytes < 2 * deleteAtBytes
  ) {
    faults.push(
      'The setting queueBackstopBytes must be at least twice deleteAtBytes: it drops messages without notice, and is meant for times without an agent.',
    );
  }
  faults.push(...queueRuleFaults(settings));
  if (
    defaultLifetimeSeconds !== undefined &&
    maxLifetimeSeconds !== undefined &&
    defaultLifetimeSeconds > maxLifetimeSeconds
  ) {
    faults.push('The setting defaultLifetimeSeconds must not be more than maxLifetimeSeconds.');
  }
  if (nodeEnv === 'production' && settings.audience === 'pulse-agent') {
    faults.push(
      'The setting audience must not be the default in production: a request signed for another installation would be valid here.',
    );
  }
  return faults;
}

function isAccountLike(
  { usernamePrefix, namespacePrefix }: Partial<Pick<FileSettings, 'usernamePrefix' | 'namespacePrefix'>>,
  user: string,
): boolean {
  if (usernamePrefix === undefined || namespacePrefix === undefined) return false;
  return namespaceOfAccount({ usernamePrefix, namespacePrefix }, user) !== undefined;
}
