import type { AuditAnswer, AuditApiQuery, AuditView } from '../../src/operator-api/schemas.ts';
import { noise } from './sample-amounts.ts';
import { iso, namespaceName, SAMPLE_SIZE } from './sample-installation.ts';

const MINUTE = 60_000;
const COUNT = 20_000;
const KINDS = [
  { action: 'rotation', by: 'agent', reason: 'rotation due', details: { fromGeneration: 6, toGeneration: 7 } },
  { action: 'claim', by: 'client', reason: 'first claim', details: {} },
  { action: 'rotation', by: 'agent', reason: 'rotation due', details: { fromGeneration: 11, toGeneration: 12 } },
  { action: 'connection-closing', by: 'agent', reason: 'age', details: { ageSeconds: 86_400 } },
  {
    action: 'queue-deletion',
    by: 'agent',
    reason: 'it had 8,120 messages',
    details: { messages: 8120, deleteAtMessages: 8000 },
  },
  { action: 'repair', by: 'agent', reason: 'permissions differed', details: { repaired: 'permissions' } },
  { action: 'revocation', by: 'operator', reason: 'a key leaked', details: { generation: 9 } },
  { action: 'deletion', by: 'agent', reason: 'expired', details: { queues: 14, exchanges: 1 } },
] as const;

function auditRecord(number: number, nowMs: number): AuditView {
  const kind = KINDS[Math.floor(noise(number) ** 2 * KINDS.length)] ?? KINDS[0];
  const namespace = namespaceName(Math.floor(noise(number + 5) ** 3 * SAMPLE_SIZE));
  return {
    id: `record-${number}`,
    at: iso(nowMs - (COUNT - number) * 0.4 * MINUTE),
    action: kind.action,
    by: kind.by,
    who: kind.by === 'client' ? 'project/builds/worker-3' : kind.by === 'operator' ? 'ada' : 'pulse-agent-0-1b2c3d4e',
    instance: 'pulse-agent-0-1b2c3d4e',
    namespace,
    ...(kind.action === 'rotation' ? { subject: `${namespace}-${(number % 2) + 1}` } : {}),
    ...(kind.action === 'queue-deletion' ? { subject: `queue/${namespace}/tasks` } : {}),
    reason: kind.reason,
    outcome: number % 41 === 0 ? 'failed' : 'done',
    details: kind.details,
  };
}

/** A page of made-up audit records, the newest first. */
export function sampleAudit(nowMs: number, query: Partial<AuditApiQuery>): AuditAnswer {
  const { namespace, action, who, since, after, limit = 50 } = query;
  const items: AuditView[] = [];
  let number = after === undefined ? COUNT : Number(after);
  const startMs = Math.floor(nowMs / MINUTE) * MINUTE;
  while (number > 0 && items.length < limit) {
    number -= 1;
    const record = auditRecord(number, startMs);
    if (since !== undefined && record.at < since) return { at: iso(nowMs), items, scanned: COUNT - number };
    if (namespace !== undefined && record.namespace !== namespace) continue;
    if (action !== undefined && record.action !== action) continue;
    if (who !== undefined && !record.who.includes(who)) continue;
    items.push(record);
  }
  return { at: iso(nowMs), items, scanned: COUNT - number, ...(number > 0 ? { next: String(number) } : {}) };
}
