import { X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { NAMESPACE_PATTERN } from '../contract/names.ts';
import { readNamePattern } from '../util/name-pattern.ts';

/** Variables of settings that have no default, for the sentence that asks for them. */
const REQUIRED = { rabbitmqUrl: 'RABBITMQ_URL', taskclusterRootUrl: 'TASKCLUSTER_ROOT_URL' } as const;

const text = z.string({ error: 'must be a text' });
const seconds = z.int({ error: 'must be a whole number of seconds' }).min(1, { error: 'must be at least 1 second' });
const count = z.int({ error: 'must be a whole number' }).min(1, { error: 'must be at least 1' });

function url(schemes: readonly string[]) {
  return text
    .refine((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol) && hasHost(new URL(value)), {
      error: `must be a URL with a host that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
    })
    .nullable();
}

const limits = z.strictObject({ 'max-connections': count.optional(), 'max-channels': count.optional() });

/** The form of every setting that a configuration file may hold. */
export const fileSettings = z.strictObject({
  id: text.regex(/^[a-z0-9-]+$/, { error: 'must consist of lower-case letters, digits and hyphens' }),
  // What Hawk and Taskcluster take as a host: no port, no underscore.
  audience: text.regex(/^[A-Za-z0-9.-]+$/, { error: 'must be a host name: letters, digits, dots and hyphens' }),
  namespacePrefix: text.regex(NAMESPACE_PATTERN, { error: 'must be 1 to 64 letters, digits, hyphens or underscores' }),
  usernamePrefix: text.regex(/^[A-Za-z0-9_.-]{0,64}$/, {
    error: 'must be at most 64 letters, digits, dots, hyphens or underscores',
  }),
  rabbitmqUrl: url(['amqp:', 'amqps:']),
  rabbitmqManagementUrl: url(['http:', 'https:']),
  publicAmqpUrl: url(['amqp:', 'amqps:']),
  rabbitmqCa: text.refine(isCertificates, { error: 'must be certificates in PEM' }).nullable(),
  storeUrl: text.regex(/^(mongodb(\+srv)?:\/\/|lmdb:.)/, {
    error: 'must begin with mongodb://, mongodb+srv:// or lmdb:',
  }),
  taskclusterRootUrl: url(['http:', 'https:']),
  taskclusterClientId: text.nullable(),
  eventVhost: text.min(1, { error: 'must be the name of a virtual host' }),
  httpHost: text.min(1, { error: 'must be the address or the name of an interface of this machine' }),
  httpPort: z
    .int({ error: 'must be a port number' })
    .min(0, { error: 'must be a port number' })
    .max(65535, { error: 'must be a port number' })
    .nullable(),
  rotationIntervalSeconds: seconds,
  defaultLifetimeSeconds: seconds,
  maxLifetimeSeconds: seconds,
  maxSkewSeconds: seconds.max(900, { error: 'must be at most 900 seconds, which is what Taskcluster allows' }),
  handshakeTimeoutSeconds: seconds,
  requireSealedReplies: z.boolean({ error: 'must be true or false' }),
  accountLimits: limits,
  claimantLimits: limits,
  expiryNoticeSeconds: seconds,
  reconcileIntervalSeconds: seconds,
  connectionMaxAgeSeconds: seconds,
  surveyIntervalSeconds: seconds,
  warnAtMessages: count,
  deleteAtMessages: count,
  queueBackstopMessages: z.union([count, z.literal('auto'), z.null()], {
    error: 'must be a whole number, auto or null',
  }),
  exemptQueues: z.array(
    text.refine(isNamePattern, { error: 'must be a regular expression, without look-around and back-references' }),
    { error: 'must be a list of regular expressions' },
  ),
  requestPrefetch: count.max(65535, { error: 'must be at most 65535, the largest prefetch' }),
  authConcurrency: count,
  managementConcurrency: count,
  auditRetentionDays: count,
  stopDeadlineSeconds: seconds,
  dryRun: z.boolean({ error: 'must be true or false' }),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    error: 'must be fatal, error, warn, info, debug, trace or silent',
  }),
});

/** What the configuration files may hold. */
export type FileSettings = z.infer<typeof fileSettings>;

/**
 * The rules that tie several settings together: a sentence for each one that is broken. What is missing because its form
 * is wrong has its own sentence already.
 */
export function settingRules(settings: Partial<FileSettings>, nodeEnv: string | undefined): string[] {
  const { id, namespacePrefix, warnAtMessages, deleteAtMessages, defaultLifetimeSeconds, maxLifetimeSeconds } =
    settings;
  const faults: string[] = [];
  for (const [setting, variable] of Object.entries(REQUIRED)) {
    if (settings[setting as keyof typeof REQUIRED] === null) faults.push(`Set ${variable} (or ${setting} in a file).`);
  }
  if (id !== undefined && namespacePrefix !== undefined && id.startsWith(namespacePrefix)) {
    faults.push(
      `The setting id (${id}) must not begin with the namespacePrefix (${namespacePrefix}): somebody could claim the agent's own queues.`,
    );
  }
  if (warnAtMessages !== undefined && deleteAtMessages !== undefined && warnAtMessages >= deleteAtMessages) {
    faults.push('The setting warnAtMessages must be less than deleteAtMessages: owners are warned first.');
  }
  const { queueBackstopMessages } = settings;
  if (
    typeof queueBackstopMessages === 'number' &&
    deleteAtMessages !== undefined &&
    queueBackstopMessages < 2 * deleteAtMessages
  ) {
    faults.push(
      'The setting queueBackstopMessages must be at least twice deleteAtMessages: it drops messages without telling anybody, and is for times without an agent.',
    );
  }
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

/** The schemes amqp and amqps may go without a host, and with one that http, the management API's, does not take. */
function hasHost({ hostname }: URL): boolean {
  return hostname !== '' && URL.canParse(`http://${hostname}`);
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs;

/** One certificate or several, and nothing else. A private key that came along would be handed to every connection. */
function isCertificates(value: string): boolean {
  const certificates = value.match(CERTIFICATE) ?? [];
  return (
    certificates.length > 0 && !value.includes('PRIVATE KEY') && certificates.every((one) => canParseCertificate(one))
  );
}

function canParseCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

function isNamePattern(value: string): boolean {
  try {
    readNamePattern(value);
    return true;
  } catch {
    return false;
  }
}
