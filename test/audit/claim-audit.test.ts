import assert from 'node:assert/strict';
import { createClaimAudit } from '../../src/audit/claim-audit.ts';
import type { ClaimResult } from '../../src/namespaces/claim/claim.ts';
import type { AuditEntry } from '../../src/audit/audit.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { recordOf } from '../support/records.ts';

const DAY_MS = 86_400_000;

function setUp() {
  const clock = createManualClock();
  const entries: AuditEntry[] = [];
  const auditClaim = createClaimAudit({ audit: { record: (entry) => void entries.push(entry) }, clock });
  const claim = (clientId: string, changes: Partial<ClaimResult> = {}, namespace = 'taskcluster-x'): void => {
    const result = {
      record: recordOf(clock.nowMs(), { namespace, contact: 'owner@example.org' }),
      reclaimAtMs: clock.nowMs() + 1000,
      connectionString: 'amqp://taskcluster-x-1:hunter2@host/%2F',
      isNew: false,
      isNewHolder: false,
      isNewContact: false,
      hasNewLimits: false,
      ...changes,
    };
    auditClaim(result, { clientId, userId: 'user-1', correlationId: `c-${entries.length}` });
  };
  const reasons = (): string[] => entries.splice(0).map(({ reason }) => reason);
  return { clock, entries, claim, reasons };
}

describe('the audit of claims', () => {
  it('records who claimed what by which request, without credentials and contact', () => {
    const { entries, claim } = setUp();
    claim('project/x', { isNew: true, isNewHolder: true });
    assert.deepEqual(entries, [
      {
        action: 'claim',
        actor: 'client',
        actorName: 'project/x',
        userId: 'user-1',
        namespace: 'taskcluster-x',
        requestId: 'c-0',
        reason: 'first claim',
        details: { expires: '2026-11-24T16:00:00.000Z', reclaimAt: '2026-11-24T12:00:01.000Z' },
      },
    ]);
  });

  it('records each first claim and each change of the contact', () => {
    const { claim, reasons } = setUp();
    for (let count = 0; count < 2; count += 1) {
      claim('project/x', { isNew: true, isNewHolder: true });
      claim('project/x', { isNewContact: true });
    }
    assert.deepEqual(reasons(), ['first claim', 'contact changed', 'first claim', 'contact changed']);
  });

  it('records each holder once a day, however often holders alternate', () => {
    const { clock, claim, reasons } = setUp();
    claim('project/x', { isNew: true, isNewHolder: true });
    for (let hour = 0; hour < 23; hour += 1) {
      claim('project/y', { isNewHolder: true });
      claim('project/x', { isNewHolder: true });
      claim('project/x');
      clock.advance(DAY_MS / 24);
    }
    assert.deepEqual(reasons(), ['first claim', 'claimed by another client']);
    clock.advance(DAY_MS / 24);
    claim('project/x');
    claim('project/x');
    assert.deepEqual(reasons(), ['renewal, recorded once a day']);
    claim('project/x', {}, 'taskcluster-y');
    assert.deepEqual(reasons(), ['renewal, recorded once a day']);
  });

  it('remembers a bounded number of holders: the renewal of a forgotten one is recorded again', () => {
    const { claim, reasons } = setUp();
    for (let count = 0; count <= 20_000; count += 1) claim(`client-${count}`);
    assert.equal(reasons().length, 20_001);
    claim('client-1');
    assert.equal(reasons().length, 0);
    claim('client-0');
    assert.equal(reasons().length, 1);
  });
});
