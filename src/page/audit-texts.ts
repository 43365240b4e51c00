import type { AuditApiQuery, AuditView as AuditEntry } from '../operator-api/schemas.ts';
import { countText, sizeText, spanText } from './page-formats.ts';

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

/** The details of a record in words: `messages 8,120, generation 6 → 7`. */
export function describeDetails({ fromGeneration, toGeneration, ...others }: AuditEntry['details']): string {
  const generation =
    fromGeneration === undefined || toGeneration === undefined
      ? (toGeneration ?? fromGeneration)
      : `${detailText('', fromGeneration)} → ${detailText('', toGeneration)}`;
  return Object.entries(generation === undefined ? others : { generation, ...others })
    .map(([name, value]) => `${words(name)} ${detailText(name, value)}`)
    .join(', ');
}

function detailText(name: string, value: string | number | boolean | undefined): string {
  if (typeof value !== 'number') return String(value);
  if (/bytes/i.test(name)) return sizeText(value);
  return /seconds/i.test(name) ? spanText(value * 1000) : countText(value);
}

/** `ageSeconds` is `age`, `fromGeneration` is `from generation`. */
function words(name: string): string {
  return name.replace(/Seconds$/, '').replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
