import assert from 'node:assert/strict';
import { type Credential, Ledger } from '../../soak/ledger.ts';

const SETTLEMENT_MS = 40_000;

describe('the ledger of promises', () => {
  let ledger: Ledger;

  beforeEach(() => {
    ledger = new Ledger(SETTLEMENT_MS);
    claim('one', 1_000, 60_000);
  });

  function claim(password: string, nowMs: number, reclaimMs: number): void {
    ledger.handedOut({ namespace: 'taskcluster-a', username: 'taskcluster-a-1', password, reclaimMs }, nowMs);
  }

  function credential(password = 'one'): Credential {
    const found = ledger.credentials.find((one) => one.password === password);
    assert.ok(found);
    return found;
  }

  const at = (startMs: number, endMs = startMs + 10) => ({ startMs, endMs });

  it('takes a refusal before reclaimAt for a breach, and none after it or while it passes', () => {
    assert.match(ledger.judge(credential(), 'refused', at(50_000)) ?? '', /taskcluster-a-1 was refused 10\.0 s before/);
    assert.equal(ledger.judge(credential(), 'refused', at(60_000)), undefined);
    assert.equal(ledger.judge(credential(), 'refused', at(59_995)), undefined);
    assert.equal(ledger.judge(credential(), 'opened', at(50_000)), undefined);
    assert.equal(ledger.judge(credential(), 'unreachable', at(50_000)), undefined);
  });

  it('judges no login that began before the credentials were received', () => {
    assert.equal(ledger.judge(credential(), 'refused', at(900, 1_100)), undefined);
  });

  it('extends the promise of the same credentials, and never shortens it', () => {
    claim('one', 30_000, 90_000);
    claim('one', 31_000, 80_000);
    assert.equal(ledger.promisedUntilMs(credential()), 90_000);
  });

  it('ends a promise when a release or a revocation is sent, whatever becomes of it', () => {
    const ending = ledger.ending('taskcluster-a', 20_000);
    assert.equal(ledger.promisedUntilMs(credential()), 20_000);
    ending.unknown(25_000);
    assert.equal(ledger.promisedUntilMs(credential()), 20_000);
  });

  it('does not trust credentials from a claim that may have overtaken the revocation', () => {
    const ending = ledger.ending('taskcluster-a', 20_000);
    ending.revoked(21_000);
    claim('overtaken', 22_000, 90_000);
    claim('later', 40_000, 90_000);
    assert.equal(ledger.promisedUntilMs(credential('overtaken')), 20_000);
    assert.equal(ledger.promisedUntilMs(credential('later')), 90_000);
  });

  it('takes a login with revoked credentials for a breach after the settlement', () => {
    const ending = ledger.ending('taskcluster-a', 20_000);
    assert.equal(ledger.judge(credential(), 'opened', at(90_000)), undefined);
    ending.revoked(21_000);
    assert.equal(ledger.judge(credential(), 'opened', at(61_000)), undefined);
    assert.match(ledger.judge(credential(), 'opened', at(61_001)) ?? '', /opened a connection 40\.0 s after/);
    assert.equal(ledger.judge(credential(), 'refused', at(61_001)), undefined);
    claim('later', 40_000, 90_000);
    assert.equal(ledger.judge(credential('later'), 'opened', at(70_000)), undefined);
  });

  it('takes a login after a release for a breach only when the deletion is known to be over', () => {
    const ending = ledger.ending('taskcluster-a', 20_000);
    ending.released(21_000);
    assert.equal(ledger.deadFromMs(credential()), Infinity);
    ending.gone(30_000);
    assert.equal(ledger.deadFromMs(credential()), 70_000);
  });

  it('says whether a namespace has a promise at an instant', () => {
    assert.equal(ledger.isPromised('taskcluster-a', 500), false);
    assert.equal(ledger.isPromised('taskcluster-a', 30_000), true);
    assert.equal(ledger.isPromised('taskcluster-b', 30_000), false);
    ledger.ending('taskcluster-a', 20_000);
    assert.equal(ledger.isPromised('taskcluster-a', 30_000), false);
  });

  it('forgets what is long over, but no password', () => {
    ledger.forget(1_000_000);
    assert.deepEqual(ledger.credentials, []);
    assert.equal(ledger.namespaceOfPassword('one'), 'taskcluster-a');
  });
});
