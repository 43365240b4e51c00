import type { AuditApiQuery, AuditView as AuditEntry } from '../operator-api/schemas.ts';
import { countedText, countText, sizeText, spanText, withLocalTimes } from './page-formats.ts';

type AuditFilter = NonNullable<AuditApiQuery['action']>;

/** The kinds of decisions by which the audit can be filtered. */
export const PAGE_AUDIT_ACTIONS: readonly AuditFilter[] = [
  'claim',
  'rotation',
  'release',
  'revocation',
  'deletion',
  'repair',
  'connection-closing',
  'queue-deletion',
  'queue-purge',
  'queue-left',
  'queue-idle',
  'queue-expiry',
  'exemption',
  'notice',
  'configuration',
  'adoption',
  'export',
  'import',
  'uninstallation',
];

/** Since when records are listed. */
export const AUDIT_SPANS = [
  { label: 'any time', hours: 0 },
  { label: 'last hour', hours: 1 },
  { label: 'last day', hours: 24 },
  { label: 'last week', hours: 168 },
] as const;

/** The start of a span, to the minute, so that the question stays the same for a while; undefined: any time. */
export function sinceOf(hours: string | undefined, nowMs: number): string | undefined {
  const span = AUDIT_SPANS.find((one) => String(one.hours) === hours);
  if (span === undefined || span.hours === 0) return undefined;
  const MINUTE = 60_000;
  return new Date(Math.floor((nowMs - span.hours * 60 * MINUTE) / MINUTE) * MINUTE).toISOString();
}

/** The details of a record in words: `8,120 messages, generation 6 → 7`. */
export function describeDetails(
  { fromGeneration, toGeneration, ...others }: AuditEntry['details'],
  nowMs: number,
  timeZone?: string,
): string {
  const generation =
    fromGeneration === undefined || toGeneration === undefined
      ? (toGeneration ?? fromGeneration)
      : `${String(fromGeneration)} → ${String(toGeneration)}`;
  return Object.entries(generation === undefined ? others : { generation, ...others })
    .map(([name, value]) => withLocalTimes(detailText(name, value), nowMs, timeZone))
    .join(', ');
}

function detailText(name: string, value: string | number | boolean): string {
  if (typeof value !== 'number') return `${words(name)} ${String(value)}`;
  if (name.endsWith('Seconds')) return `${words(name)} ${spanText(value * 1000)}`;
  if (/bytes$/i.test(name)) return `${words(name)} ${sizeText(value)}`.trimStart();
  if (/messages$|queues$|exchanges$/i.test(name)) {
    const noun = /messages$/i.test(name) ? 'message' : name.replace(/s$/, '');
    return `${words(name)} ${countedText(value, noun)}`.trimStart();
  }
  return `${words(name)} ${countText(value)}`;
}

/** `ageSeconds` is `age`, `fromGeneration` is `from generation`; `deleteAtMessages` is `delete at`, of messages. */
function words(name: string): string {
  return name
    .replace(/Seconds$|Messages$|Bytes$|^(?:messages|bytes|queues|exchanges)$/, '')
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
