import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { AgentError } from '../../src/util/agent-errors.ts';
import { createLog } from '../../src/util/log.ts';
import { type Audit, createAudit } from '../../src/audit/audit.ts';
import type { AuditRecord, AuditStore } from '../../src/store/audit-records.ts';
import type { FileSettings } from '../../src/config/settings.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';

interface Scene {
  readonly audit: Audit;
  readonly lines: Record<string, unknown>[];
  /** The records in the store. */
  readonly stored: () => Promise<AuditRecord[]>;
  /** The number of records of each call of the store. */
  readonly calls: number[];
  /** Emits `call` after each call of the store. */
  readonly store: EventEmitter;
  isDown: boolean;
  readonly clock: ReturnType<typeof createManualClock>;
  /** How many records were reported as left out of the store. */
  suppressed: number;
}

function setUp(options: { logLevel?: FileSettings['logLevel']; windowMs?: number; summaryMs?: number } = {}): Scene {
  const { audit: store } = createMemoryStore();
  const lines: Scene['lines'] = [];
  const log = createLog(
    { logLevel: options.logLevel ?? 'info', id: 'test' },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  const calls: number[] = [];
  const storeEvents = new EventEmitter();
  const append: AuditStore['append'] = async (records) => {
    calls.push(records.length);
    try {
      if (scene.isDown) throw new AgentError('StoreUnavailable', 'The store is down.');
      await store.append(records);
    } finally {
      setImmediate(() => storeEvents.emit('call'));
    }
  };
  const window = options.windowMs === undefined ? {} : { windowMs: options.windowMs };
  const summary = options.summaryMs === undefined ? {} : { summaryMs: options.summaryMs };
  const clock = createManualClock();
  const onSuppressed = (): void => void (scene.suppressed += 1);
  const audit = createAudit({
    store: { append },
    log,
    clock,
    instance: 'host-1',
    onSuppressed,
    ...window,
    ...summary,
  });
  const scene: Scene = {
    audit,
    lines,
    calls,
    store: storeEvents,
    isDown: false,
    clock,
    suppressed: 0,
    stored: () => store.list({ limit: 20_000 }),
  };
  addCleanup(async () => {
    scene.isDown = false;
    await audit.close();
  });
  return scene;
}

describe('the audit of an agent', () => {
  it('writes a record to the log immediately and to the store soon', async () => {
    const { audit, lines, stored, store } = setUp({ windowMs: 1 });
    audit.record({ action: 'deletion', namespace: 'taskcluster-x', reason: 'expired', details: { queues: 2 } });
    const [line] = lines;
    const { time, pid, id, ...fields } = line ?? {};
    assert.ok(typeof time === 'string' && typeof pid === 'number' && typeof id === 'string');
    assert.deepEqual(fields, {
      level: 'info',
      agent: 'test',
      name: 'audit',
      code: 'audit',
      msg: 'deletion',
      actor: 'agent',
      actorName: 'host-1',
      instance: 'host-1',
      action: 'deletion',
      namespace: 'taskcluster-x',
      reason: 'expired',
      outcome: 'done',
      details: { queues: 2 },
    });
    await once(store, 'call');
    assert.deepEqual(await stored(), [
      {
        id,
        atMs: createManualClock().nowMs(),
        instance: 'host-1',
        actor: 'agent',
        actorName: 'host-1',
        userId: null,
        action: 'deletion',
        namespace: 'taskcluster-x',
        subject: null,
        reason: 'expired',
        outcome: 'done',
        requestId: null,
        details: { queues: 2 },
      },
    ]);
  });

  it('writes to the log at every log level but silent', async () => {
    for (const logLevel of ['trace', 'error'] as const) {
      const { audit, lines } = setUp({ logLevel });
      audit.record({ action: 'claim', reason: 'first claim' });
      assert.equal(lines.length, 1, logLevel);
    }
    const { audit, lines, stored } = setUp({ logLevel: 'silent' });
    audit.record({ action: 'claim', reason: 'first claim' });
    await audit.close();
    assert.deepEqual([lines.length, (await stored()).length], [0, 1]);
  });

  it('writes records to the store in batches, and all of them before it is closed', async () => {
    const { audit, stored, calls } = setUp();
    for (let count = 0; count < 1_200; count += 1) audit.record({ action: 'rotation', reason: String(count) });
    assert.deepEqual(calls, []);
    const closing = audit.close();
    audit.record({ action: 'rotation', reason: 'late' });
    await closing;
    assert.deepEqual(calls, [500, 500, 201]);
    assert.equal((await stored()).length, 1_201);
  });

  it('keeps records while the store is down, logs that once, and writes them when it is back', async () => {
    const scene = setUp({ windowMs: 1 });
    const { audit, lines, stored, store, calls } = scene;
    scene.isDown = true;
    audit.record({ action: 'claim', reason: 'first claim' });
    while (calls.length < 3) await once(store, 'call');
    const warnings = () => lines.filter(({ level }) => level === 'warn');
    assert.equal(warnings().length, 1);
    audit.record({ action: 'claim', reason: 'second' });
    scene.isDown = false;
    while ((await stored()).length < 2) await once(store, 'call');
    assert.equal(warnings().length, 1);
    assert.ok(lines.some(({ code }) => code === 'audit_store_recovered'));
    scene.isDown = true;
    audit.record({ action: 'claim', reason: 'third' });
    while (warnings().length < 2) await once(store, 'call');
  });

  it('keeps at most 10,000 records while the store is down, and logs that it dropped the oldest', async () => {
    const scene = setUp();
    const { audit, lines, stored } = scene;
    scene.isDown = true;
    for (let count = 0; count < 10_003; count += 1) audit.record({ action: 'claim', reason: String(count) });
    assert.equal(lines.filter(({ level }) => level === 'error').length, 1);
    scene.isDown = false;
    await audit.close();
    const reasons = (await stored()).map(({ reason }) => Number(reason));
    assert.equal(reasons.length, 10_000);
    assert.equal(Math.min(...reasons), 3);
    assert.ok(lines.some(({ code, lost }) => code === 'audit_store_recovered' && lost === 3));
  });

  it('keeps 60 records of an action of a namespace and 10 a minute, and then one with the number of the rest', async () => {
    const scene = setUp({ windowMs: 1, summaryMs: 5 });
    const { audit, lines, stored, store, clock } = scene;
    const flood = (count: number): void => {
      for (let left = count; left > 0; left -= 1) {
        audit.record({ action: 'claim', namespace: 'taskcluster-x', reason: 'contact changed' });
      }
    };
    flood(1_440);
    audit.record({ action: 'revocation', namespace: 'taskcluster-x', reason: 'requested by an operator' });
    audit.record({ action: 'claim', namespace: 'taskcluster-y', reason: 'first claim' });
    audit.record({ action: 'configuration', reason: 'agent started' });
    const summaries = async () => (await stored()).filter(({ outcome }) => outcome === 'suppressed');
    while ((await summaries()).length === 0) await once(store, 'call');
    const [summary] = await summaries();
    assert.deepEqual(
      [summary?.namespace, summary?.action, summary?.details],
      ['taskcluster-x', 'claim', { suppressed: 1_380 }],
    );
    assert.equal((await stored()).length, 60 + 3 + 1);
    assert.equal(scene.suppressed, 1_380);
    // The log has all of them.
    assert.equal(lines.filter(({ code }) => code === 'audit').length, 1_440 + 3 + 1);
    clock.advance(60_000);
    flood(15);
    await audit.close();
    assert.deepEqual(
      (await summaries()).map(({ details }) => details['suppressed']),
      [1_380, 5],
    );
    assert.equal((await stored()).length, 60 + 3 + 1 + 10 + 1);
  });

  it('logs when it is closed how many records the store did not take', async () => {
    const scene = setUp();
    const { audit, lines } = scene;
    scene.isDown = true;
    audit.record({ action: 'claim', reason: 'first claim' });
    audit.record({ action: 'claim', reason: 'second' });
    await audit.close();
    const last = lines.at(-1);
    assert.equal(last?.['level'], 'error');
    assert.equal(last['records'], 2);
  });
});
