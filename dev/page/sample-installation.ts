import type { NamespaceRow, QueueRow } from '../../src/operator-api/schemas.ts';
import { depthAt, growthAt, noise } from './sample-amounts.ts';

/** How many namespaces and queues there are. */
export const SAMPLE_SIZE = 10_000;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const WARN_AT = 4000;
const DELETE_AT = 8000;
const PROJECTS = ['builds', 'release', 'docs', 'mobile', 'servo', 'nss', 'l10n', 'perf', 'fuzzing', 'vpn', 'ci-admin'];
const ROLES = ['tasks', 'results', 'notify', 'index', 'treeherder', 'hooks', 'stats'];

/** Names that a page has to show as they are. */
const STRANGE: Readonly<Record<number, string>> = {
  3: '<img src=x onerror=alert(1)>&amp;"\'',
  4: '\u202Egnp.exe \u05E9\u05DC\u05D5\u05DD mixed \u0639\u0631\u0628\u064A',
  5: 'n'.repeat(255 - 'queue/taskcluster-builds-0000/'.length),
};

export const iso = (atMs: number): string => new Date(Math.round(atMs)).toISOString();

export function namespaceName(index: number): string {
  return `taskcluster-${PROJECTS[index % PROJECTS.length]}-${String(index).padStart(4, '0')}`;
}

/** Queues are spread unevenly: the first namespaces have several. */
export function namespaceOfNumber(queue: number): number {
  return queue < 40 ? Math.floor(queue / 8) : Math.floor(noise(queue + 11) * noise(queue + 12) * SAMPLE_SIZE);
}

export function queueName(queue: number): string {
  const role = STRANGE[queue] ?? `${ROLES[queue % ROLES.length]}${queue % 3 === 0 ? `-${queue}` : `/${queue}`}`;
  return `queue/${namespaceName(namespaceOfNumber(queue))}/${role}`;
}

/** The row of a queue, without its trend. */
export function sampleQueue(queue: number, nowMs: number): Omit<QueueRow, 'trend'> {
  const messages = depthAt(queue, nowMs);
  const perMinute = growthAt(queue, nowMs);
  const unacknowledged = Math.min(messages, Math.round(messages * 0.1 * noise(queue + 21)));
  const isExempt = queue % 997 === 3;
  const state = isExempt ? 'exempt' : messages >= WARN_AT ? 'warned' : 'watched';
  const next =
    state === 'warned' ? ({ action: 'delete', at: DELETE_AT } as const) : ({ action: 'warn', at: WARN_AT } as const);
  const reachedAt = perMinute > 0.01 ? iso(nowMs + ((next.at - messages) / perMinute) * MINUTE) : null;
  return {
    queue: queueName(queue),
    namespace: namespaceName(namespaceOfNumber(queue)),
    state,
    messages,
    ready: messages - unacknowledged,
    unacknowledged,
    bytes: messages * (300 + Math.round(4000 * noise(queue + 22))),
    consumers: Math.floor(noise(queue + 23) * 4),
    rule: 'default',
    messagesPerMinute: perMinute,
    ...(state === 'exempt' ? {} : { next: { ...next, unit: 'messages', reachedAt } }),
    ...(state === 'warned'
      ? { warnedSince: iso(nowMs - ((messages - WARN_AT) / Math.max(1, perMinute)) * MINUTE) }
      : {}),
    ...(state === 'warned' && queue % 5 === 0 ? { exemptUntil: iso(nowMs + 20 * HOUR) } : {}),
  };
}

export function sampleNamespace(index: number, nowMs: number, queues: number, messages: number): NamespaceRow {
  const rotation = HOUR * noise(index + 31);
  const isExpiring = index % 2500 === 17;
  return {
    namespace: namespaceName(index),
    state: isExpiring ? 'expiring' : index % 4001 === 9 ? 'provisioning' : 'active',
    holder: `project/${PROJECTS[index % PROJECTS.length]}/worker-${index % 7}`,
    created: iso(nowMs - (30 + 400 * noise(index + 32)) * 24 * HOUR),
    expires: iso(isExpiring ? nowMs - 2 * MINUTE : nowMs + (2 + 6 * noise(index + 33)) * HOUR),
    lastClaim: iso(nowMs - 20 * MINUTE * noise(index + 34)),
    ...(isExpiring ? {} : { reclaimBy: iso(nowMs + rotation * 0.5), nextRotation: iso(nowMs + rotation) }),
    queues,
    messages,
    connections: Math.floor(noise(index + 35) * 6),
    ...(isExpiring && index > 5000 ? { blockedBy: 'an operator exempted one of its queues until tomorrow' } : {}),
  };
}
